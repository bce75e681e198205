-- selection: the rows that a mixture uses, drawn by a hash of their id until each target is met.
-- in:    sized, plan
-- out:   selection
WITH drawn AS (
    SELECT s.doc_id, s.kind, s.lang, s.tokens, p.target, uniform(s.doc_id, $seed) AS draw
    FROM (SELECT kind, lang, sum(target) AS target FROM plan GROUP BY kind, lang) p
    RIGHT JOIN sized s ON s.kind = p.kind AND s.lang = p.lang
),
-- Rows are ranked by their draw within a group. To sort few of them, all are counted by slices of
-- the draw first: of one slice a group only some rows are used.
slices AS (
    SELECT kind, lang, target, floor(draw * 4096) AS slice, sum(tokens) AS tokens
    FROM drawn
    GROUP BY kind, lang, target, floor(draw * 4096)
),
ranked AS (
    SELECT kind, lang, target, slice, tokens,
           sum(tokens) OVER (PARTITION BY kind, lang ORDER BY slice ROWS UNBOUNDED PRECEDING) AS upto
    FROM slices
),
cuts AS (
    SELECT kind, lang, min(slice) AS slice, min(upto - tokens) AS before
    FROM ranked
    WHERE upto >= target
    GROUP BY kind, lang
)
SELECT doc_id, kind, lang, tokens
FROM (SELECT d.doc_id, d.kind, d.lang, d.tokens
      FROM cuts c
      RIGHT JOIN drawn d ON d.kind = c.kind AND d.lang = c.lang
      WHERE d.target > 0 AND (c.slice IS NULL OR floor(d.draw * 4096) < c.slice)
      UNION ALL
      SELECT doc_id, kind, lang, tokens
      FROM (SELECT d.doc_id, d.kind, d.lang, d.tokens, d.target, c.before,
                   sum(d.tokens) OVER (PARTITION BY d.kind, d.lang
                                       ORDER BY d.draw, d.doc_id
                                       ROWS UNBOUNDED PRECEDING) AS upto
            FROM cuts c
            JOIN drawn d ON d.kind = c.kind AND d.lang = c.lang AND floor(d.draw * 4096) = c.slice)
      WHERE before + upto - tokens < target)
ORDER BY doc_id
