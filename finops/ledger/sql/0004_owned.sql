-- What each owner's spend comes to by day, for rooms that keep what it came to once and compare. Functions, so that such
-- a comparison is one statement: it sees the same transactions on both sides. Deltas that are not folded are in it.
CREATE FUNCTION ledger_owned(house int, since date, until date) RETURNS TABLE (
    day date, source_id int, category_id int, team_id int, person_id int, project_id int, currency text,
    calls bigint, effective_cost numeric, reporting_cost numeric
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT r.day, r.source_id, r.category_id, r.team_id, r.person_id, r.project_id, r.currency,
        sum(r.calls)::bigint, sum(r.effective_cost), sum(r.reporting_cost)
    FROM (
        SELECT d.day, d.source_id, d.category_id, d.team_id, d.person_id, d.project_id, d.currency, d.calls,
            d.effective_cost, d.effective_cost + coalesce(d.reporting_extra, 0) AS reporting_cost
        FROM ledger_daily AS d WHERE d.organization_id = house AND d.day >= since AND d.day < until
        UNION ALL
        SELECT (n.hour AT TIME ZONE 'UTC')::date, n.source_id, n.category_id, n.team_id, n.person_id, n.project_id,
            n.currency, n.calls, n.effective_cost, n.reporting_cost
        FROM ledger_rollup_delta AS n
        WHERE n.organization_id = house AND n.hour >= since::timestamp AT TIME ZONE 'UTC'
            AND n.hour < until::timestamp AT TIME ZONE 'UTC'
    ) AS r
    GROUP BY r.day, r.source_id, r.category_id, r.team_id, r.person_id, r.project_id, r.currency
$$;

-- How many charges each owner has on some days, reversals too: read from the charges, a day at a time.
CREATE FUNCTION ledger_counted(house int, days date[]) RETURNS TABLE (
    day date, source_id int, category_id int, team_id int, person_id int, project_id int, currency text, charges bigint
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT d.day, c.source_id, c.category_id, c.team_id, c.person_id, c.project_id, c.currency, c.charges
    FROM unnest(days) AS d(day) CROSS JOIN LATERAL (
        SELECT o.source_id, o.category_id, o.team_id, o.person_id, o.project_id, o.currency, count(*) AS charges
        FROM ledger_charge AS o
        WHERE o.organization_id = house AND o.occurred_at >= d.day::timestamp AT TIME ZONE 'UTC'
            AND o.occurred_at < (d.day + 1)::timestamp AT TIME ZONE 'UTC'
        GROUP BY o.source_id, o.category_id, o.team_id, o.person_id, o.project_id, o.currency
    ) AS c
$$;
