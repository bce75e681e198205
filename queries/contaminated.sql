-- contaminated: the documents that hold items of evaluation sets, with where they stand.
-- in:    documents, labelled
-- out:   contaminated
-- param: ngram bigint = 13                            -- words of an n-gram that both must have
-- param: min_words bigint = 8                         -- words of the shortest item that is looked for
-- param: threshold double = 0.0                       -- least share of an item's n-grams; 0 is any of them
-- param: splits text = 'test, validation, valid, dev' -- the parts of the labelled data to look for
SELECT doc_id,
       benchmark,
       eval_id,
       eval_column,
       "column",
       lang,
       containment,
       matched,
       start,
       length,
       starts,
       lengths,
       match,
       items,
       too_short
FROM contamination('documents', 'labelled',
                   {ngram: $ngram, min_words: $min_words, threshold: $threshold, splits: $splits})
ORDER BY doc_id
