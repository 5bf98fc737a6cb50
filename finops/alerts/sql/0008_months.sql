-- Closed months that changed are told of from the first day too.
CREATE OR REPLACE FUNCTION alerts_first_rules(whose int, since timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO alerts_alertrule (organization_id, name, kind, params, channel_ids, every_channel, digest, enabled,
        created_at)
    SELECT whose, name, kind, '{}', '{}', true, false, true, since
    FROM (VALUES
        ('Budget thresholds', 'budget.threshold'),
        ('Budgets that end early', 'budget.forecast'),
        ('Caps that refuse', 'cap.tripped'),
        ('Breakers that tripped', 'breaker.tripped'),
        ('Stops', 'stop.made'),
        ('Calls dearer than their hold', 'hold.exceeded'),
        ('Authorizations never settled', 'authorization.expired'),
        ('Keys blocked at their provider', 'enforcement.blocked'),
        ('Keys that could not be blocked', 'enforcement.failed'),
        ('Calls that cannot be booked', 'inbox.stuck'),
        ('Routing rules that were paused', 'rollout.paused'),
        ('Routing rules that were rolled back', 'rollout.rolled_back'),
        ('Task types named wrongly', 'classifier.drifting'),
        ('Too much spend with one maker of models', 'concentration.exceeded'),
        ('Sources that cannot be read', 'feed.stopped'),
        ('Closed months that changed', 'month.changed')
    ) AS first_rules (name, kind)
$$;

INSERT INTO alerts_alertrule (organization_id, name, kind, params, channel_ids, every_channel, digest, enabled,
    created_at)
SELECT o.id, 'Closed months that changed', 'month.changed', '{}', '{}', true, false, true, now()
FROM orgs_organization AS o ORDER BY o.id;
