//! A vocabulary as a double array (Aoe 1989): all tokens that a text begins with, one look a byte.

/// No token ends at a node.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Node {
    /// Where its children lie: the child of byte `b` at `base + b`.
    base: u32,
    /// One more than the parent; 0 of a free place.
    parent: u32,
    /// The id of the token that ends here.
    id: u32,
}

const FREE: Node = Node { base: 0, parent: 0, id: NONE };

/// Tokens by their bytes.
pub(super) struct Trie(Vec<Node>);

impl Trie {
    /// A trie of tokens with their ids; of equal tokens the last one counts.
    pub fn new<'a>(tokens: impl Iterator<Item = (&'a [u8], u32)>) -> Self {
        let mut tokens: Vec<(&[u8], u32)> = tokens.filter(|(token, _)| !token.is_empty()).collect();
        tokens.sort_by_key(|(token, _)| *token);
        let mut nodes = vec![FREE; 512];
        nodes[0].parent = 1;
        // Places before this one are as good as full.
        let mut full = 1;
        let mut open = vec![(0usize, 0usize, tokens.len(), 0usize)];
        let mut children: Vec<(u8, usize, usize)> = Vec::new();
        while let Some((node, mut from, to, depth)) = open.pop() {
            while from < to && tokens[from].0.len() == depth {
                nodes[node].id = tokens[from].1;
                from += 1;
            }
            children.clear();
            for (at, (token, _)) in tokens.iter().enumerate().take(to).skip(from) {
                match children.last_mut() {
                    Some((byte, _, end)) if *byte == token[depth] => *end = at + 1,
                    _ => children.push((token[depth], at, at + 1)),
                }
            }
            let Some((first, ..)) = children.first().copied() else { continue };
            let base = place(&mut nodes, &mut full, usize::from(first), &children);
            nodes[node].base = base as u32;
            for (byte, from, to) in &children {
                let child = base + usize::from(*byte);
                nodes[child].parent = node as u32 + 1;
                open.push((child, *from, *to, depth + 1));
            }
        }
        // Any byte after any node may be asked for.
        nodes.resize(nodes.len() + 256, FREE);
        Self(nodes)
    }

    /// Calls `each(length, id)` for the tokens that a text begins with, shortest first.
    pub fn prefixes(&self, text: &[u8], mut each: impl FnMut(usize, u32)) {
        let mut at = 0;
        let mut base = self.0[0].base as usize;
        for (i, byte) in text.iter().enumerate() {
            let next = base + usize::from(*byte);
            let node = self.0[next];
            if node.parent != at as u32 + 1 {
                return;
            }
            if node.id != NONE {
                each(i + 1, node.id);
            }
            (at, base) = (next, node.base as usize);
        }
    }

    /// The id of a token.
    pub fn get(&self, token: &[u8]) -> Option<u32> {
        let mut found = None;
        self.prefixes(token, |length, id| {
            if length == token.len() {
                found = Some(id);
            }
        });
        found
    }
}

/// A base at which all children have free places, at least 1.
fn place(
    nodes: &mut Vec<Node>,
    full: &mut usize,
    first: usize,
    children: &[(u8, usize, usize)],
) -> usize {
    let mut taken = 0;
    let mut at = (*full).max(first + 1);
    loop {
        let base = at - first;
        if base + 256 > nodes.len() {
            nodes.resize((base + 256).max(nodes.len() * 2), FREE);
        }
        if nodes[at].parent != 0 {
            taken += 1;
        } else if children.iter().all(|(byte, ..)| nodes[base + usize::from(*byte)].parent == 0) {
            // What was looked at in vain need not be looked at again once it is almost full.
            if taken * 20 >= (at - *full) * 19 {
                *full = at;
            }
            return base;
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_tokens_that_a_text_begins_with_are_found() {
        let tokens = ["▁", "▁да", "▁дар", "д", "а", "▁x", "▁да"];
        let trie = Trie::new(tokens.iter().enumerate().map(|(i, t)| (t.as_bytes(), i as u32)));
        let found = |text: &str| {
            let mut all = Vec::new();
            trie.prefixes(text.as_bytes(), |n, id| all.push((n, id)));
            all
        };
        assert_eq!(found("▁дарит"), [(3, 0), (7, 6), (9, 2)]);
        assert_eq!(found("дом"), [(2, 3)]);
        assert!(found("z").is_empty() && found("").is_empty());
        assert_eq!((trie.get("▁x".as_bytes()), trie.get("x".as_bytes())), (Some(5), None));
        assert!(Trie::new(std::iter::empty()).get(b"a").is_none());
    }

    #[test]
    fn a_large_vocabulary_is_all_there() {
        let tokens: Vec<String> = (0..20_000u32)
            .map(|i| format!("{}{}", char::from_u32(0x4e00 + i % 3000).unwrap_or('x'), i * 7919))
            .collect();
        let trie = Trie::new(tokens.iter().enumerate().map(|(i, t)| (t.as_bytes(), i as u32)));
        for (i, token) in tokens.iter().enumerate() {
            assert_eq!(trie.get(token.as_bytes()), Some(i as u32), "{token}");
        }
    }
}
