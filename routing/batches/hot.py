"""What a gateway needs of this room, without Django: the statements it keeps files and batches by, and how the event of
a batch's calls is written. The tables are those of `models`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from finops.connectors.types import UsageEvent

# A batch is `pending` until the provider's id of it is known, `open` until it ends there, `ended` until it is booked.
# `void` was never made, `lost` is in quarantine: nobody could say what it used.
PENDING: Final = "pending"
OPEN: Final = "open"
ENDED: Final = "ended"
BOOKED: Final = "booked"
VOID: Final = "void"
LOST: Final = "lost"
STATES: Final = (PENDING, OPEN, ENDED, BOOKED, VOID, LOST)
DUE: Final = (PENDING, OPEN, ENDED)

encode_event: Final = msgspec.msgpack.Encoder().encode
decode_event: Final = msgspec.msgpack.Decoder(UsageEvent).decode

KEEP_FILE: Final = """
INSERT INTO batches_batchfile (organization_id, upstream_id, file_id, endpoint, model_names, requests, key_prefix,
    created_at)
VALUES (%(organization)s, %(upstream)s, %(file)s, %(endpoint)s, %(models)s, %(requests)s, %(key)s, now())
"""
FIND_FILE: Final = """
SELECT upstream_id, endpoint, model_names FROM batches_batchfile
WHERE organization_id = %(organization)s AND file_id = %(file)s ORDER BY id DESC LIMIT 1
"""
# Where any file of an organization is, and whether it holds results that are not booked yet.
OWNER: Final = """
SELECT upstream_id, false FROM batches_batchfile WHERE organization_id = %(organization)s AND file_id = %(file)s
UNION ALL
SELECT upstream_id, state = ANY(%(due)s) FROM batches_batch
WHERE organization_id = %(organization)s AND %(file)s IN (output_file_id, error_file_id)
LIMIT 1
"""
# A gateway that made a batch says so within three minutes, or did not live to.
BEGIN: Final = """
INSERT INTO batches_batch (organization_id, upstream_id, call_id, state, endpoint, input_file_id, key_prefix, event,
    created_at, look_at)
VALUES (%(organization)s, %(upstream)s, %(call)s, 'pending', %(endpoint)s, %(file)s, %(key)s, %(event)s,
    now(), now() + interval '3 minutes')
"""
# It may have been found by whoever looks at batches meanwhile.
MADE: Final = """
UPDATE batches_batch SET state = 'open', batch_id = %(batch)s, said = %(said)s,
    look_at = now() + interval '20 seconds'
WHERE organization_id = %(organization)s AND call_id = %(call)s AND state = 'pending'
"""
NOT_MADE: Final = """
UPDATE batches_batch SET state = 'void', event = ''
WHERE organization_id = %(organization)s AND call_id = %(call)s AND state = 'pending'
"""
FIND: Final = """
SELECT id, upstream_id, batch_id, state, said FROM batches_batch
WHERE organization_id = %(organization)s AND batch_id = %(batch)s ORDER BY id DESC LIMIT 1
"""
HEARD: Final = """
UPDATE batches_batch SET said = %(said)s,
    output_file_id = coalesce(nullif(%(output)s, ''), output_file_id),
    error_file_id = coalesce(nullif(%(error)s, ''), error_file_id)
WHERE organization_id = %(organization)s AND id = %(id)s AND said <> %(said)s
"""
LISTED: Final = """
SELECT id, upstream_id, batch_id, state, said FROM batches_batch
WHERE organization_id = %(organization)s AND batch_id <> '' AND id < %(below)s ORDER BY id DESC LIMIT %(most)s
"""
