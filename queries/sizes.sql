-- sizes: what there is to mix, per language and language pair.
-- in:    sized
-- out:   sizes
SELECT kind,
       lang,
       CAST(count(*) AS BIGINT UNSIGNED) AS rows,
       CAST(sum(tokens) AS BIGINT UNSIGNED) AS available
FROM sized
GROUP BY kind, lang
ORDER BY kind, lang
