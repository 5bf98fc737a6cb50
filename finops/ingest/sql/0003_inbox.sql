-- Finished calls as gateways decided them, until a worker has run them through the corridor. A gateway copies the closed
-- segments of its journal here; each row leaves in the transaction that books it.
CREATE TABLE ingest_inbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id int NOT NULL,
    source_id int NOT NULL,
    holder_id uuid NOT NULL,
    -- What was spent of the holder's lease of each of these accounts.
    accounts bigint[] NOT NULL,
    spent numeric(38, 12) NOT NULL CHECK (spent >= 0),
    body bytea NOT NULL,
    tries int NOT NULL DEFAULT 0
);
CREATE INDEX ingest_inbox_order ON ingest_inbox (organization_id, source_id, id);
CREATE INDEX ingest_inbox_holder ON ingest_inbox (holder_id);

-- The last segment of each holder's journal that was copied: each is copied once, whoever does it.
CREATE TABLE ingest_copied (
    holder_id uuid PRIMARY KEY,
    segment int NOT NULL
);
