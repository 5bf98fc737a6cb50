-- How a sighting was told to be of its charge: by the provider's own request id, or because it says the same
-- ('content': model, tokens, session and time).
ALTER TABLE ledger_sighting ADD COLUMN matched_by text COLLATE "C" NOT NULL DEFAULT 'request';
CREATE INDEX ledger_sighting_content ON ledger_sighting (organization_id, source_id, seen_at)
    WHERE matched_by = 'content';

-- Charges of sources that know no request ids, which no other source has seen yet. Looked at again for some days.
CREATE TABLE ledger_lone (
    organization_id int NOT NULL,
    source_id int NOT NULL,
    external_id text COLLATE "C" NOT NULL,
    charge_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    booked_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, source_id, external_id)
);
CREATE INDEX ledger_lone_newest ON ledger_lone (organization_id, booked_at);
