-- Every organization has rules from its first moment on, so that something is told before anybody sets anything up.
-- They tell every channel; without one, incidents are seen in the application.
CREATE FUNCTION alerts_first_rules(whose int, since timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO alerts_alertrule (organization_id, name, kind, params, channel_ids, every_channel, digest, enabled,
        created_at)
    SELECT whose, name, kind, '{}', '{}', true, false, true, since
    FROM (VALUES
        ('Budget thresholds', 'budget.threshold'),
        ('Caps that refuse', 'cap.tripped'),
        ('Breakers that tripped', 'breaker.tripped'),
        ('Stops', 'stop.made'),
        ('Calls dearer than their hold', 'hold.exceeded'),
        ('Authorizations never settled', 'authorization.expired'),
        ('Keys blocked at their provider', 'enforcement.blocked'),
        ('Keys that could not be blocked', 'enforcement.failed')
    ) AS first_rules (name, kind)
$$;

CREATE FUNCTION alerts_organization_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM alerts_first_rules(NEW.id, NEW.created_at);
    RETURN NULL;
END $$;
CREATE TRIGGER alerts_organization_made AFTER INSERT ON orgs_organization
    FOR EACH ROW EXECUTE FUNCTION alerts_organization_made();

SELECT alerts_first_rules(id, created_at) FROM orgs_organization ORDER BY id;
