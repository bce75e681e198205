-- selection: the rows that a mixture uses, drawn by a hash of their id until each target is met.
-- in:    sized, plan
-- out:   selection
SELECT doc_id, kind, lang, tokens
FROM (SELECT s.doc_id,
             s.kind,
             s.lang,
             s.tokens,
             p.target,
             sum(s.tokens) OVER (PARTITION BY s.kind, s.lang
                                 ORDER BY uniform(s.doc_id, $seed), s.doc_id) AS upto
      FROM sized s
      JOIN (SELECT kind, lang, sum(target) AS target FROM plan GROUP BY kind, lang) p
          ON s.kind = p.kind AND s.lang = p.lang)
WHERE upto - tokens < target
ORDER BY doc_id
