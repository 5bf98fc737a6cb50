-- The ledger's tables. Written by hand because Django cannot declare partitions; the models in models.py mirror them.
--
-- Ids of dimensions are int4 and 0 means "none": they stand in every row of charges and rollups. They carry no foreign
-- keys, because a check per row and column would cost more than the row; owners are never deleted (orgs keeps that),
-- words live in ledger_term, which only grows.

CREATE TABLE ledger_charge (
    id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    booked_at timestamptz NOT NULL,
    organization_id int NOT NULL,
    source_id int NOT NULL,
    -- owners
    team_id int NOT NULL DEFAULT 0,
    person_id int NOT NULL DEFAULT 0,
    project_id int NOT NULL DEFAULT 0,
    agent_id int NOT NULL DEFAULT 0,
    customer_id int NOT NULL DEFAULT 0,
    key_id int NOT NULL DEFAULT 0,
    -- words (ledger_term)
    provider_id int NOT NULL DEFAULT 0,
    model_id int NOT NULL DEFAULT 0,
    model_raw_id int NOT NULL DEFAULT 0,
    service_tier_id int NOT NULL DEFAULT 0,
    region_id int NOT NULL DEFAULT 0,
    host_id int NOT NULL DEFAULT 0,
    provider_account_id int NOT NULL DEFAULT 0,
    task_type_id int NOT NULL DEFAULT 0,
    category_id int NOT NULL DEFAULT 0,
    evidence_id int NOT NULL DEFAULT 0,
    state_id int NOT NULL DEFAULT 0,
    tag1_id int NOT NULL DEFAULT 0,
    tag2_id int NOT NULL DEFAULT 0,
    tag3_id int NOT NULL DEFAULT 0,
    tag4_id int NOT NULL DEFAULT 0,
    tag5_id int NOT NULL DEFAULT 0,
    tag6_id int NOT NULL DEFAULT 0,
    tag7_id int NOT NULL DEFAULT 0,
    tag8_id int NOT NULL DEFAULT 0,
    tag9_id int NOT NULL DEFAULT 0,
    tag10_id int NOT NULL DEFAULT 0,
    -- why it is priced and owned as it is
    price_id int NOT NULL DEFAULT 0,
    contract_id int NOT NULL DEFAULT 0,
    origin_id int NOT NULL DEFAULT 0,
    trace_id int NOT NULL DEFAULT 0,
    revision int NOT NULL DEFAULT 0,
    fx_date date,
    -- meters: null where the call did not use one, so that a row stays narrow
    calls bigint NOT NULL,
    input_uncached bigint,
    cache_read bigint,
    cache_write_5m bigint,
    cache_write_1h bigint,
    output_text bigint,
    output_reasoning bigint,
    input_audio bigint,
    cache_read_audio bigint,
    output_audio bigint,
    input_image bigint,
    output_image bigint,
    requests bigint,
    web_searches bigint,
    tool_calls bigint,
    -- money: list, contracted and effective (FOCUS), what the source itself stated, and the reporting currency's
    list_cost numeric(24, 12) NOT NULL,
    contracted_cost numeric(24, 12) NOT NULL,
    effective_cost numeric(24, 12) NOT NULL,
    billed_cost numeric(24, 12),
    reporting_cost numeric(24, 12) NOT NULL,
    fx_rate numeric(24, 12) NOT NULL,
    currency text COLLATE "C" NOT NULL,
    reporting_currency text COLLATE "C" NOT NULL,
    -- identity
    external_id text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL DEFAULT '',
    provider_request_id text COLLATE "C" NOT NULL DEFAULT '',
    -- '' for a first posting; reversal, revision, rerate, reattribute, allocation
    reason text COLLATE "C" NOT NULL DEFAULT '',
    reverses uuid,
    tags jsonb,
    PRIMARY KEY (id, occurred_at),
    CONSTRAINT charge_currency CHECK (currency ~ '^[A-Z]{3}$' AND reporting_currency ~ '^[A-Z]{3}$'),
    CONSTRAINT charge_reversal_says_what CHECK ((reason = 'reversal') = (reverses IS NOT NULL)),
    CONSTRAINT charge_rate_positive CHECK (fx_rate > 0)
) PARTITION BY RANGE (occurred_at);

CREATE INDEX ledger_charge_newest ON ledger_charge (organization_id, occurred_at DESC, id DESC);

CREATE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: reverse the charge instead', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER ledger_charge_append_only BEFORE UPDATE OR DELETE ON ledger_charge
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();

-- Which ids were charged. Unpartitioned and claimed first: the only thing that decides what is counted.
-- source_id 0 holds the house's own keys: req:<provider>:<request id>, rev:<charge>, fix:<charge>.
CREATE TABLE ledger_charge_key (
    organization_id int NOT NULL,
    source_id int NOT NULL,
    external_id text COLLATE "C" NOT NULL,
    content_hash bytea NOT NULL,
    revision int NOT NULL DEFAULT 0,
    charge_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, source_id, external_id)
);

-- Another source's view of a call that is charged already.
CREATE TABLE ledger_sighting (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id int NOT NULL,
    charge_id uuid NOT NULL,
    source_id int NOT NULL,
    external_id text COLLATE "C" NOT NULL,
    occurred_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    evidence text NOT NULL,
    counts bigint[] NOT NULL,
    billed_cost numeric(24, 12),
    currency text NOT NULL DEFAULT '',
    UNIQUE (organization_id, source_id, external_id)
);
CREATE INDEX ledger_sighting_charge ON ledger_sighting (organization_id, charge_id);

-- What one batch adds to the rollups, not yet merged into the cubes. No index: it is read whole, and it is short.
-- Sums have more digits than a charge: many charges of the largest size must still add up, or nobody's would fold.
CREATE TABLE ledger_rollup_delta (
    organization_id int NOT NULL,
    hour timestamptz NOT NULL,
    source_id int NOT NULL, team_id int NOT NULL, person_id int NOT NULL, project_id int NOT NULL,
    agent_id int NOT NULL, customer_id int NOT NULL, key_id int NOT NULL,
    provider_id int NOT NULL, model_id int NOT NULL, service_tier_id int NOT NULL, region_id int NOT NULL,
    host_id int NOT NULL, provider_account_id int NOT NULL, task_type_id int NOT NULL, category_id int NOT NULL,
    evidence_id int NOT NULL, state_id int NOT NULL,
    tag1_id int NOT NULL, tag2_id int NOT NULL, tag3_id int NOT NULL, tag4_id int NOT NULL, tag5_id int NOT NULL,
    tag6_id int NOT NULL, tag7_id int NOT NULL, tag8_id int NOT NULL, tag9_id int NOT NULL, tag10_id int NOT NULL,
    currency text COLLATE "C" NOT NULL,
    calls bigint NOT NULL, input_tokens bigint NOT NULL, cached_tokens bigint NOT NULL, output_tokens bigint NOT NULL,
    list_cost numeric(38, 12) NOT NULL, contracted_cost numeric(38, 12) NOT NULL,
    effective_cost numeric(38, 12) NOT NULL, reporting_cost numeric(38, 12) NOT NULL
);

-- The wide daily cube: every dimension, for the odd filter. Folds append to it; settling regroups a day. It is scanned,
-- so columns of a fixed width stand first, where they are found without walking the row, and of the four costs one is
-- whole: the others are what they come to above it, null where that is nothing, which is most often.
CREATE TABLE ledger_daily (
    organization_id int NOT NULL,
    day date NOT NULL,
    source_id int NOT NULL, team_id int NOT NULL, person_id int NOT NULL, project_id int NOT NULL,
    agent_id int NOT NULL, customer_id int NOT NULL, key_id int NOT NULL,
    provider_id int NOT NULL, model_id int NOT NULL, service_tier_id int NOT NULL, region_id int NOT NULL,
    host_id int NOT NULL, provider_account_id int NOT NULL, task_type_id int NOT NULL, category_id int NOT NULL,
    evidence_id int NOT NULL, state_id int NOT NULL,
    tag1_id int NOT NULL, tag2_id int NOT NULL, tag3_id int NOT NULL, tag4_id int NOT NULL, tag5_id int NOT NULL,
    tag6_id int NOT NULL, tag7_id int NOT NULL, tag8_id int NOT NULL, tag9_id int NOT NULL, tag10_id int NOT NULL,
    calls bigint NOT NULL, input_tokens bigint NOT NULL, cached_tokens bigint NOT NULL, output_tokens bigint NOT NULL,
    currency text COLLATE "C" NOT NULL,
    effective_cost numeric(38, 12) NOT NULL,
    list_extra numeric(38, 12), contracted_extra numeric(38, 12), reporting_extra numeric(38, 12)
);
CREATE INDEX ledger_daily_day ON ledger_daily (organization_id, day);
-- A person has one team and few projects. Told of it, the planner expects the groups there are, not their product, and
-- shares the scan among processes.
CREATE STATISTICS ledger_daily_together (ndistinct)
    ON team_id, person_id, project_id, agent_id, customer_id, key_id, model_id, currency FROM ledger_daily;

-- Narrow cubes: one dimension (a) or a named pair (a, b), in blocks of 4^level days, so that any period is few blocks.
-- `block` is the day's number since 1970-01-01 divided by 4^level. Days are always there; larger blocks are there when
-- they end before the organization's settled day.
CREATE TABLE ledger_cube (
    organization_id int NOT NULL,
    cube smallint NOT NULL,
    level smallint NOT NULL,
    block int NOT NULL,
    a int NOT NULL,
    b int NOT NULL,
    calls bigint NOT NULL, input_tokens bigint NOT NULL, cached_tokens bigint NOT NULL, output_tokens bigint NOT NULL,
    currency text COLLATE "C" NOT NULL,
    list_cost numeric(38, 12) NOT NULL, contracted_cost numeric(38, 12) NOT NULL,
    effective_cost numeric(38, 12) NOT NULL, reporting_cost numeric(38, 12) NOT NULL,
    PRIMARY KEY (organization_id, cube, level, block, a, b, currency)
) PARTITION BY LIST (cube);
-- The dearest of each block and currency first: how the largest of many thousand groups are found without reading the rest.
CREATE INDEX ledger_cube_largest ON ledger_cube (organization_id, level, block, currency, reporting_cost DESC)
    INCLUDE (a, b);

-- The day before which an organization's days are settled: their blocks exist. It only ever grows.
CREATE TABLE ledger_settled (
    organization_id int PRIMARY KEY,
    until date NOT NULL
);

-- Spend by hour over the few dimensions that burn rates need.
CREATE TABLE ledger_hourly (
    organization_id int NOT NULL,
    dimension smallint NOT NULL,
    hour timestamptz NOT NULL,
    value int NOT NULL,
    currency text COLLATE "C" NOT NULL,
    calls bigint NOT NULL,
    effective_cost numeric(38, 12) NOT NULL,
    reporting_cost numeric(38, 12) NOT NULL,
    PRIMARY KEY (organization_id, dimension, hour, value, currency)
) WITH (fillfactor = 80);

-- Spend by session and who ran it; a session's sub-agents are rows of their own, so that corrections subtract exactly.
CREATE TABLE ledger_session_delta (
    organization_id int NOT NULL,
    session text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    person_id int NOT NULL, agent_id int NOT NULL, project_id int NOT NULL,
    first_at timestamptz NOT NULL, last_at timestamptz NOT NULL,
    calls bigint NOT NULL, input_tokens bigint NOT NULL, cached_tokens bigint NOT NULL, output_tokens bigint NOT NULL,
    list_cost numeric(38, 12) NOT NULL, contracted_cost numeric(38, 12) NOT NULL,
    effective_cost numeric(38, 12) NOT NULL, reporting_cost numeric(38, 12) NOT NULL
);

CREATE TABLE ledger_session (
    organization_id int NOT NULL,
    session text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    person_id int NOT NULL, agent_id int NOT NULL, project_id int NOT NULL,
    first_at timestamptz NOT NULL, last_at timestamptz NOT NULL,
    calls bigint NOT NULL, input_tokens bigint NOT NULL, cached_tokens bigint NOT NULL, output_tokens bigint NOT NULL,
    list_cost numeric(38, 12) NOT NULL, contracted_cost numeric(38, 12) NOT NULL,
    effective_cost numeric(38, 12) NOT NULL, reporting_cost numeric(38, 12) NOT NULL,
    PRIMARY KEY (organization_id, session, currency, person_id, agent_id, project_id)
) WITH (fillfactor = 80);
CREATE INDEX ledger_session_newest ON ledger_session (organization_id, last_at DESC);

-- Deltas come and go by the thousand; let vacuum keep up with them rather than with a share of an empty table.
ALTER TABLE ledger_rollup_delta SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
ALTER TABLE ledger_session_delta SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

-- Rollups sum reporting amounts without their currency: it is chosen before the first charge, and stays.
CREATE FUNCTION ledger_keep_currency() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM ledger_charge_key WHERE organization_id = OLD.id) THEN
        RAISE EXCEPTION 'charges are booked in %; the reporting currency stays', OLD.reporting_currency
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'org_currency_stays';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_keep_currency BEFORE UPDATE OF reporting_currency ON orgs_organization
    FOR EACH ROW WHEN (OLD.reporting_currency IS DISTINCT FROM NEW.reporting_currency)
    EXECUTE FUNCTION ledger_keep_currency();
