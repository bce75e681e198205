-- sized: tokens of each surviving row of the training split.
-- in:    split, measured, documents, pairs
-- out:   sized
-- param: tokenizer text = 'main'   -- the tokenizer that counts
SELECT doc_id, kind, lang, tokens
FROM (SELECT s.doc_id,
             'documents' AS kind,
             coalesce(m.lang, m.detected.lang) AS lang,
             token_count(d.text, $tokenizer) AS tokens
      FROM split s
      JOIN measured m ON s.doc_id = m.doc_id
      JOIN documents d ON s.doc_id = d.doc_id
      WHERE s.split = 'train'
      UNION ALL
      SELECT s.doc_id,
             'pairs',
             concat(p.src_lang, '-', p.tgt_lang),
             token_count(p.src, $tokenizer) + token_count(p.tgt, $tokenizer)
      FROM split s
      JOIN pairs p ON s.doc_id = p.doc_id
      WHERE s.split = 'train')
ORDER BY doc_id
