-- selection: the rows that a mixture uses, drawn by a hash of their id until each target is met.
-- in:    candidates, plan
-- out:   selection
-- `candidates` is `sized` with the groups and the unit of the mixture.
-- A group goes by its number until the end: names make rows that are sorted four times as wide.
WITH groups AS (
    SELECT row_number() OVER (ORDER BY kind, lang, part) AS number, kind, lang, part, sum(target) AS target
    FROM plan
    GROUP BY kind, lang, part
),
drawn AS (
    SELECT s.doc_id, g.number, g.target, s.tokens, s.size, uniform(s.doc_id, $seed) AS draw
    FROM groups g
    RIGHT JOIN candidates s ON s.kind = g.kind AND s.lang = g.lang AND s.part = g.part
),
-- Rows are ranked by their draw within a group. To sort only those that are used, all are counted
-- by slices of the draw first.
slices AS (
    SELECT number, target, floor(draw * 4096) AS slice, sum(size) AS size
    FROM drawn
    GROUP BY number, target, floor(draw * 4096)
),
ranked AS (
    SELECT number, target, slice,
           sum(size) OVER (PARTITION BY number ORDER BY slice ROWS UNBOUNDED PRECEDING) AS upto
    FROM slices
),
cuts AS (
    SELECT number, min(slice) AS slice
    FROM ranked
    WHERE upto >= target
    GROUP BY number
),
used AS (
    SELECT doc_id, number, tokens, (upto - size) / CAST(target AS DOUBLE) AS place
    FROM (SELECT d.doc_id, d.number, d.tokens, d.size, d.target,
                 sum(d.size) OVER (PARTITION BY d.number
                                   ORDER BY d.draw, d.doc_id
                                   ROWS UNBOUNDED PRECEDING) AS upto
          FROM cuts c
          RIGHT JOIN drawn d ON d.number = c.number
          WHERE d.target > 0 AND (c.slice IS NULL OR floor(d.draw * 4096) <= c.slice))
    WHERE upto - size < target
)
SELECT u.doc_id, g.kind, g.lang, g.part, u.tokens, u.place
FROM groups g
RIGHT JOIN used u ON u.number = g.number
ORDER BY u.doc_id
