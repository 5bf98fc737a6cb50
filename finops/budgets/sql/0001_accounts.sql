-- What a budget's subject may spend in one period, and what has become of it. `authorised` was spent by calls that were
-- asked for beforehand; `leased` is in the hands of gateways, which spend it without asking again; `observed` is all
-- that was spent without asking, and what went beyond a hold: truth, never refused, and less than nothing when history
-- is corrected downwards.
--
-- That a cap is never passed is the first CHECK: `leased` becomes `authorised` cent for cent, and no grant goes past
-- what is left. The ceiling is the limit, or what was given out already when the limit was lowered beneath it.
CREATE TABLE budgets_account (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id int NOT NULL,
    budget_id int NOT NULL,
    subject text COLLATE "C" NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz,
    limit_amount numeric(38, 12) NOT NULL CHECK (limit_amount >= 0),
    ceiling numeric(38, 12) NOT NULL,
    carried numeric(38, 12) NOT NULL DEFAULT 0 CHECK (carried >= 0),
    authorised numeric(38, 12) NOT NULL DEFAULT 0 CHECK (authorised >= 0),
    leased numeric(38, 12) NOT NULL DEFAULT 0 CHECK (leased >= 0),
    observed numeric(38, 12) NOT NULL DEFAULT 0,
    opened_at timestamptz NOT NULL,
    CONSTRAINT budgets_account_never_over CHECK (authorised + leased <= ceiling),
    CONSTRAINT budgets_account_ceiling CHECK (ceiling >= limit_amount),
    UNIQUE (budget_id, subject, starts_at)
) WITH (fillfactor = 70);
CREATE INDEX budgets_account_open ON budgets_account (organization_id, ends_at);

-- What ingest observed, not yet added to its account: appended, so that a batch of usage and a gateway that needs money
-- never wait for each other. Whoever decides adds it in the same statement.
CREATE TABLE budgets_observed (
    organization_id int NOT NULL,
    account_id bigint NOT NULL,
    amount numeric(38, 12) NOT NULL
);
CREATE INDEX budgets_observed_account ON budgets_observed (account_id);

-- Who holds leases: one row per gateway process while it lives, and after, until its journal is settled.
CREATE TABLE budgets_holder (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL
);

-- What a holder has of an account and has not yet accounted for.
CREATE TABLE budgets_lease (
    organization_id int NOT NULL,
    account_id bigint NOT NULL REFERENCES budgets_account,
    holder_id uuid NOT NULL REFERENCES budgets_holder,
    amount numeric(38, 12) NOT NULL CHECK (amount >= 0),
    PRIMARY KEY (account_id, holder_id)
) WITH (fillfactor = 70);

-- Leases to a holder, all of those wanted or none: between `least` and `most` of each account, where every account has
-- room for its `least`. Answers how each account stands after it. The rows are locked in the order of their ids by a
-- statement of its own, so that what follows is read after any wait and counts nothing twice.
CREATE FUNCTION budgets_grant(by_holder uuid, accounts bigint[], least_wanted numeric[], most_wanted numeric[])
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
        SELECT *, CASE WHEN bool_and(free >= least) OVER () AND count(*) OVER () = cardinality(accounts)
            THEN least(most, free) ELSE 0 END AS granted FROM standing
    ), taken AS (
        UPDATE budgets_account AS a SET leased = a.leased + g.granted FROM given AS g WHERE a.id = g.id AND g.granted > 0
    ), held AS (
        INSERT INTO budgets_lease AS l (organization_id, account_id, holder_id, amount)
        SELECT organization_id, id, by_holder, granted FROM given WHERE granted > 0 ORDER BY id
        ON CONFLICT (account_id, holder_id) DO UPDATE SET amount = l.amount + EXCLUDED.amount
    )
    SELECT id, granted, free - granted, limit_amount, authorised, leased + granted, observed FROM given ORDER BY id;
END $$;

-- A holder accounts for what it had: `returned` goes back, `spent` becomes authorised. Refuses more than it has.
CREATE FUNCTION budgets_settle(by_holder uuid, accounts bigint[], spent numeric[], returned numeric[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    moved int;
BEGIN
    PERFORM FROM budgets_account WHERE id = ANY(accounts) ORDER BY id FOR UPDATE;
    UPDATE budgets_lease AS l SET amount = l.amount - s.spent - s.returned
    FROM unnest(accounts, spent, returned) AS s(id, spent, returned)
    WHERE l.account_id = s.id AND l.holder_id = by_holder;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> cardinality(accounts) THEN
        RAISE EXCEPTION 'holder % has no lease of some of accounts %', by_holder, accounts
            USING ERRCODE = 'no_data_found';
    END IF;
    UPDATE budgets_account AS a SET leased = a.leased - s.spent - s.returned, authorised = a.authorised + s.spent,
        ceiling = greatest(a.limit_amount, a.authorised + a.leased - s.returned)
    FROM unnest(accounts, spent, returned) AS s(id, spent, returned) WHERE a.id = s.id;
END $$;

-- Adds what was observed to its accounts, of which it locks no others than it found first. One at a time; whoever comes
-- second has nothing to do.
CREATE FUNCTION budgets_fold() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    found bigint[];
    folded bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('budgets'), 0) THEN
        RETURN 0;
    END IF;
    SELECT array_agg(id) INTO found FROM (
        SELECT id FROM budgets_account WHERE id IN (SELECT account_id FROM budgets_observed) ORDER BY id FOR UPDATE
    ) AS locked;
    WITH gone AS (
        DELETE FROM budgets_observed WHERE account_id = ANY(found) RETURNING account_id, amount
    ), summed AS (
        SELECT account_id, sum(amount) AS amount, count(*) AS rows FROM gone GROUP BY account_id
    ), added AS (
        UPDATE budgets_account AS a SET observed = a.observed + s.amount FROM summed AS s WHERE a.id = s.account_id
    )
    SELECT coalesce(sum(rows), 0) INTO folded FROM summed;
    RETURN folded;
END $$;

-- Which teams lie above a team is part of whom a budget concerns.
CREATE FUNCTION budgets_teams_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE budgets_budgetsversion SET token = gen_random_uuid() WHERE organization_id = NEW.organization_id;
    RETURN NULL;
END $$;
CREATE TRIGGER budgets_teams_moved AFTER INSERT OR UPDATE OF parent_id ON orgs_team
    FOR EACH ROW EXECUTE FUNCTION budgets_teams_moved();
