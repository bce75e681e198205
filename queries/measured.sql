-- measured: each document's measures, no text.
-- in:    documents
-- out:   measured
SELECT doc_id,
       lang,
       source,
       detect_lang(text) AS detected,
       char_count(text) AS n_chars,
       word_count(text) AS n_words,
       content_key(text) AS content_key,
       gopher_quality(text, lang) AS gopher,
       gopher_repetition(text, lang) AS repetition
FROM documents
