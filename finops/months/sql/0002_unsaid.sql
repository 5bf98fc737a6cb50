-- What the ledger holds of some days and no standing statement says, in one statement: what a transaction has committed
-- is on one side or on none, and what commits later is unsaid until somebody asks again. Groups that come to nothing are
-- left out. Charges are counted on days that differ only.
CREATE FUNCTION months_unsaid(house int, since date, until date) RETURNS TABLE (
    day date, source_id int, category_id int, team_id int, person_id int, project_id int, currency text,
    charges bigint, calls bigint, effective_cost numeric, reporting_cost numeric
) LANGUAGE sql STABLE AS $$
    WITH said AS MATERIALIZED (
        SELECT l.day, l.source_id, l.category_id, l.team_id, l.person_id, l.project_id, l.currency::text AS currency,
            sum(l.charges)::bigint AS charges, sum(l.calls)::bigint AS calls, sum(l.effective_cost) AS effective_cost,
            sum(l.reporting_cost) AS reporting_cost
        FROM months_line AS l JOIN months_closing AS c ON c.id = l.closing_id AND c.reopened_at IS NULL
        WHERE l.organization_id = house AND l.day >= since AND l.day < until
        GROUP BY l.day, l.source_id, l.category_id, l.team_id, l.person_id, l.project_id, l.currency
    ), moved AS MATERIALIZED (
        SELECT b.day, b.source_id, b.category_id, b.team_id, b.person_id, b.project_id, b.currency,
            sum(b.calls)::bigint AS calls, sum(b.effective_cost) AS effective_cost,
            sum(b.reporting_cost) AS reporting_cost
        FROM (
            SELECT * FROM ledger_owned(house, since, until)
            UNION ALL
            SELECT s.day, s.source_id, s.category_id, s.team_id, s.person_id, s.project_id, s.currency, -s.calls,
                -s.effective_cost, -s.reporting_cost
            FROM said AS s
        ) AS b
        GROUP BY b.day, b.source_id, b.category_id, b.team_id, b.person_id, b.project_id, b.currency
        HAVING sum(b.calls) <> 0 OR sum(b.effective_cost) <> 0 OR sum(b.reporting_cost) <> 0
    )
    SELECT m.day, m.source_id, m.category_id, m.team_id, m.person_id, m.project_id, m.currency,
        coalesce(n.charges, 0) - coalesce(s.charges, 0), m.calls, m.effective_cost, m.reporting_cost
    FROM moved AS m
    LEFT JOIN ledger_counted(house, ARRAY(SELECT DISTINCT d.day FROM moved AS d)) AS n
        USING (day, source_id, category_id, team_id, person_id, project_id, currency)
    LEFT JOIN said AS s USING (day, source_id, category_id, team_id, person_id, project_id, currency)
$$;
