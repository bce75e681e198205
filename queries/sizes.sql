-- sizes: what there is to mix, per language and language pair.
-- in:    sized
-- out:   sizes
SELECT kind,
       lang,
       count(*) AS rows,
       sum(tokens) AS available,
       sum(chars) AS chars,
       sum(bytes) AS bytes
FROM sized
GROUP BY kind, lang
ORDER BY kind, lang
