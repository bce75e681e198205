-- selection: the rows that a mixture uses, drawn by a hash of their id until each target is met.
-- in:    candidates, plan
-- out:   selection
-- `candidates` is `sized` with the groups and the unit of the mixture.
WITH drawn AS (
    SELECT s.doc_id, s.kind, s.lang, s.part, s.tokens, s.size, p.target, uniform(s.doc_id, $seed) AS draw
    FROM (SELECT kind, lang, part, sum(target) AS target FROM plan GROUP BY kind, lang, part) p
    RIGHT JOIN candidates s ON s.kind = p.kind AND s.lang = p.lang AND s.part = p.part
),
-- Rows are ranked by their draw within a group. To sort only those that are used, all are counted
-- by slices of the draw first.
slices AS (
    SELECT kind, lang, part, target, floor(draw * 4096) AS slice, sum(size) AS size
    FROM drawn
    GROUP BY kind, lang, part, target, floor(draw * 4096)
),
ranked AS (
    SELECT kind, lang, part, target, slice,
           sum(size) OVER (PARTITION BY kind, lang, part ORDER BY slice ROWS UNBOUNDED PRECEDING) AS upto
    FROM slices
),
cuts AS (
    SELECT kind, lang, part, min(slice) AS slice
    FROM ranked
    WHERE upto >= target
    GROUP BY kind, lang, part
)
SELECT doc_id, kind, lang, part, tokens, (upto - size) / CAST(target AS DOUBLE) AS place
FROM (SELECT d.doc_id, d.kind, d.lang, d.part, d.tokens, d.size, d.target,
             sum(d.size) OVER (PARTITION BY d.kind, d.lang, d.part
                               ORDER BY d.draw, d.doc_id
                               ROWS UNBOUNDED PRECEDING) AS upto
      FROM cuts c
      RIGHT JOIN drawn d ON d.kind = c.kind AND d.lang = c.lang AND d.part = c.part
      WHERE d.target > 0 AND (c.slice IS NULL OR floor(d.draw * 4096) <= c.slice))
WHERE upto - size < target
ORDER BY doc_id
