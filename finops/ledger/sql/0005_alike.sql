-- Calls of a time that read and wrote as many tokens: how a call that is told without its request id is found among the
-- charges. Ten minutes first, so that new entries stand together.
CREATE INDEX ledger_charge_alike ON ledger_charge (
    organization_id,
    date_bin('10 minutes', occurred_at, '2000-01-01 00:00:00+00'),
    (coalesce(input_uncached, 0) + coalesce(cache_read, 0) + coalesce(cache_write_5m, 0) +
        coalesce(cache_write_1h, 0) + coalesce(input_audio, 0) + coalesce(cache_read_audio, 0) +
        coalesce(input_image, 0)),
    (coalesce(output_text, 0) + coalesce(output_reasoning, 0) + coalesce(output_audio, 0) +
        coalesce(output_image, 0))
) WHERE calls = 1 AND reverses IS NULL;

-- By the charge: its id is new whenever a row is written, and the newest stand together.
ALTER TABLE ledger_lone DROP CONSTRAINT ledger_lone_pkey, ADD PRIMARY KEY (organization_id, source_id, charge_id);
