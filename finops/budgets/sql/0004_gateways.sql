-- How gateways open accounts, and how one takes over what another left when it died.

-- The limit in force of a budget's subject in one period: its own, what approved increases add now, what was moved to
-- and from it, and what was carried over. The one place that says so.
CREATE FUNCTION budgets_limit(of_budget int, of_subject text, of_start timestamptz, own numeric, carried numeric, at timestamptz)
RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT greatest(0, own + carried
        + coalesce((SELECT sum(amount) FROM budgets_increase
            WHERE budget_id = of_budget AND subject = of_subject AND state = 'approved'
                AND decided_at <= at AND expires_at > at), 0)
        + coalesce((SELECT sum(amount) FROM budgets_transfer
            WHERE target_id = of_budget AND target_subject = of_subject AND target_start = of_start), 0)
        - coalesce((SELECT sum(amount) FROM budgets_transfer
            WHERE source_id = of_budget AND source_subject = of_subject AND source_start = of_start), 0))
$$;

-- What accounts are opened with. `own` is a subject's limit by the budget's terms, `rollover` the most that may be
-- carried over, `earlier` when the period before began (NULL: there is none). Of a period that nobody opened an account
-- for, all is left.
CREATE FUNCTION budgets_opening(budgets int[], subjects text[], starts timestamptz[], ends timestamptz[], own numeric[],
    rollover numeric[], earlier timestamptz[], at timestamptz)
RETURNS TABLE (budget_id int, subject text, starts_at timestamptz, ends_at timestamptz, limit_amount numeric,
    carried numeric) LANGUAGE sql STABLE AS $$
    SELECT w.budget_id, w.subject, w.starts_at, w.ends_at,
        budgets_limit(w.budget_id, w.subject, w.starts_at, w.own, c.carried, at), c.carried
    FROM unnest(budgets, subjects, starts, ends, own, rollover, earlier)
        AS w(budget_id, subject, starts_at, ends_at, own, rollover, earlier)
    LEFT JOIN budgets_account AS b
        ON b.budget_id = w.budget_id AND b.subject = w.subject COLLATE "C" AND b.starts_at = w.earlier
    CROSS JOIN LATERAL (
        SELECT CASE WHEN w.rollover > 0 AND w.earlier IS NOT NULL THEN greatest(0, least(w.rollover,
            CASE WHEN b.id IS NULL THEN w.own ELSE b.limit_amount - b.authorised - b.leased - b.observed
                - coalesce((SELECT sum(amount) FROM budgets_observed WHERE account_id = b.id), 0) END
        )) ELSE 0 END AS carried
    ) AS c
$$;

-- Opens accounts where they are not. Opening one twice at once opens it once.
CREATE FUNCTION budgets_open(for_organization int, budgets int[], subjects text[], starts timestamptz[],
    ends timestamptz[], own numeric[], rollover numeric[], earlier timestamptz[], at timestamptz)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO budgets_account (organization_id, budget_id, subject, starts_at, ends_at, limit_amount, ceiling, carried,
        opened_at)
    SELECT for_organization, budget_id, subject, starts_at, ends_at, limit_amount, limit_amount, carried, at
    FROM budgets_opening(budgets, subjects, starts, ends, own, rollover, earlier, at)
    ORDER BY budget_id, subject, starts_at
    ON CONFLICT DO NOTHING
$$;

-- The accounts of a gateway's calls, opened where they are not, by the terms it knows; nothing where those are not the
-- terms in force any more (`token`), because another limit may hold now. What budgets there are cannot change meanwhile.
CREATE FUNCTION budgets_open_known(for_organization int, token uuid, budgets int[], subjects text[],
    starts timestamptz[], ends timestamptz[], own numeric[], rollover numeric[], earlier timestamptz[])
RETURNS TABLE (budget_id int, subject text, starts_at timestamptz, account_id bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('budgets'), for_organization);
    IF NOT EXISTS (SELECT FROM budgets_budgetsversion AS v
        WHERE v.organization_id = for_organization AND v.token = budgets_open_known.token) THEN
        RETURN;
    END IF;
    PERFORM budgets_open(for_organization, budgets, subjects, starts, ends, own, rollover, earlier, now());
    RETURN QUERY
    SELECT a.budget_id, a.subject, a.starts_at, a.id
    FROM unnest(budgets, subjects, starts) AS w(budget_id, subject, starts_at)
    JOIN budgets_account AS a ON a.budget_id = w.budget_id AND a.subject = w.subject COLLATE "C" AND a.starts_at = w.starts_at;
END $$;

-- Leases to a holder, all of those wanted or none: between `least` and `most` of each account, where every account has
-- room for its `least`; beyond that at most an eighth of what is left, so that others find some too. Answers how each account stands after it. The rows are locked in the order of their ids by a
-- statement of its own, so that what follows is read after any wait and counts nothing twice.
CREATE OR REPLACE FUNCTION budgets_grant(by_holder uuid, accounts bigint[], least_wanted numeric[], most_wanted numeric[])
RETURNS TABLE (account_id bigint, granted numeric, free numeric, limit_amount numeric, authorised numeric,
    leased numeric, observed numeric) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM budgets_account WHERE id = ANY(accounts) ORDER BY id FOR UPDATE;
    RETURN QUERY
    WITH wanted AS (
        SELECT * FROM unnest(accounts, least_wanted, most_wanted) AS w(id, least, most)
    ), seen AS (
        SELECT account_id AS id, sum(amount) AS amount FROM budgets_observed
        WHERE account_id = ANY(accounts) GROUP BY account_id
    ), standing AS (
        SELECT a.id, a.organization_id, a.limit_amount, a.authorised, a.leased, a.observed + coalesce(seen.amount, 0) AS observed,
            a.limit_amount - a.authorised - a.leased
                - greatest(a.observed + coalesce(seen.amount, 0), a.limit_amount - a.ceiling) AS free,
            w.least, w.most
        FROM budgets_account a JOIN wanted w USING (id) LEFT JOIN seen USING (id)
    ), given AS (
        SELECT *, CASE WHEN bool_and(least = 0 OR free >= least) OVER () AND count(*) OVER () = cardinality(accounts)
            THEN greatest(0, least(free, greatest(least, least(most, trunc(free / 8, 12))))) ELSE 0 END AS granted FROM standing
    ), taken AS (
        UPDATE budgets_account AS a SET leased = a.leased + g.granted FROM given AS g WHERE a.id = g.id AND g.granted > 0
    ), held AS (
        INSERT INTO budgets_lease AS l (organization_id, account_id, holder_id, amount)
        SELECT organization_id, id, by_holder, granted FROM given WHERE granted > 0 ORDER BY id
        ON CONFLICT (account_id, holder_id) DO UPDATE SET amount = l.amount + EXCLUDED.amount
    )
    SELECT id, granted, free - granted, limit_amount, authorised, leased + granted, observed FROM given ORDER BY id;
END $$;

-- As `budgets_open_known`, and leases of up to `most` of each at once, as far as there is room.
CREATE FUNCTION budgets_open_and_grant(for_organization int, token uuid, budgets int[], subjects text[],
    starts timestamptz[], ends timestamptz[], own numeric[], rollover numeric[], earlier timestamptz[],
    by_holder uuid, most_wanted numeric[])
RETURNS TABLE (budget_id int, subject text, starts_at timestamptz, account_id bigint, granted numeric, free numeric,
    limit_amount numeric, authorised numeric, leased numeric, observed numeric) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    ids bigint[];
    most numeric[];
BEGIN
    SELECT array_agg(o.account_id ORDER BY o.account_id), array_agg(w.amount ORDER BY o.account_id) INTO ids, most
    FROM budgets_open_known(for_organization, token, budgets, subjects, starts, ends, own, rollover, earlier) AS o
    JOIN unnest(budgets, subjects, starts, most_wanted) AS w(budget_id, subject, starts_at, amount)
        ON w.budget_id = o.budget_id AND w.subject COLLATE "C" = o.subject AND w.starts_at = o.starts_at;
    IF ids IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT a.budget_id, a.subject, a.starts_at, g.account_id, g.granted, g.free, g.limit_amount, g.authorised, g.leased,
        g.observed
    FROM budgets_grant(by_holder, ids, array_fill(0::numeric, ARRAY[cardinality(ids)]), most) AS g
    JOIN budgets_account AS a ON a.id = g.account_id;
END $$;

-- Where a holder is reached, until when it is known to live, and who took over what it left.
ALTER TABLE budgets_holder ADD COLUMN address text NOT NULL DEFAULT '',
    ADD COLUMN adopted_by uuid REFERENCES budgets_holder, ADD COLUMN adopted_at timestamptz;
CREATE INDEX budgets_holder_living ON budgets_holder (seen_at) WHERE adopted_by IS NULL;
CREATE INDEX budgets_lease_of_holder ON budgets_lease (holder_id) WHERE amount > 0;

-- One holder takes over what is held by a dead one: of each account `held` becomes the adopter's, `spent` stays with the
-- dead until the ledger has it, and the rest, which was promised to nobody, goes back. Once; answers whether it was now.
CREATE FUNCTION budgets_adopt(dead uuid, by_holder uuid, accounts bigint[], held numeric[], spent numeric[])
RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    its bigint[];
BEGIN
    UPDATE budgets_holder SET adopted_by = by_holder, adopted_at = now() WHERE id = dead AND adopted_by IS NULL;
    IF NOT FOUND THEN
        -- True where it was this one, and the answer was lost.
        RETURN EXISTS (SELECT FROM budgets_holder WHERE id = dead AND adopted_by = by_holder);
    END IF;
    SELECT array_agg(account_id ORDER BY account_id) INTO its FROM budgets_lease WHERE holder_id = dead AND amount > 0;
    PERFORM FROM budgets_account WHERE id = ANY(its) ORDER BY id FOR UPDATE;
    WITH kept AS (
        SELECT l.account_id, l.amount, l.organization_id, coalesce(k.held, 0) AS held, coalesce(k.spent, 0) AS spent
        FROM budgets_lease AS l
        LEFT JOIN (SELECT id, sum(held) AS held, sum(spent) AS spent FROM unnest(accounts, held, spent) AS k(id, held, spent)
            GROUP BY id) AS k ON k.id = l.account_id
        WHERE l.holder_id = dead AND l.amount > 0
    ), free AS (
        UPDATE budgets_account AS a SET leased = a.leased - (k.amount - k.held - k.spent),
            ceiling = greatest(a.limit_amount, a.authorised + a.leased - (k.amount - k.held - k.spent))
        FROM kept AS k WHERE a.id = k.account_id
    ), moved AS (
        INSERT INTO budgets_lease AS l (organization_id, account_id, holder_id, amount)
        SELECT organization_id, account_id, by_holder, held FROM kept WHERE held > 0 ORDER BY account_id
        ON CONFLICT (account_id, holder_id) DO UPDATE SET amount = l.amount + EXCLUDED.amount
    )
    UPDATE budgets_lease AS l SET amount = k.spent FROM kept AS k
    WHERE l.account_id = k.account_id AND l.holder_id = dead;
    RETURN true;
END $$;
