//! DER taken apart, changed anywhere, and put together again with lengths that fit: what a CA with another software, or with
//! bad intent, could sign.

use arbitrary::Arbitrary;

/// Deepest nesting that is taken apart.
const DEEPEST: usize = 12;

/// One element.
#[derive(Clone, Debug)]
pub(super) struct Node {
    tag: u8,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Bytes(Vec<u8>),
    Nodes(Vec<Node>),
}

/// One change, at a node that is counted in the order of the bytes.
#[derive(Clone, Debug, Arbitrary)]
pub(super) struct Edit {
    at: u8,
    change: Change,
}

#[derive(Clone, Debug, Arbitrary)]
enum Change {
    Tag(u8),
    /// Another content; what was below the node is gone.
    Content(Vec<u8>),
    /// One byte of the content.
    Byte {
        at: u8,
        value: u8,
    },
    Remove,
    Repeat,
    /// Moves the node behind its next sibling.
    Swap,
    /// A new element before the node.
    Insert {
        tag: u8,
        content: Vec<u8>,
    },
}

impl Node {
    /// The only element in `bytes`.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        match <[Self; 1]>::try_from(nodes(bytes, 0)?) {
            Ok([node]) => Some(node),
            Err(_) => None,
        }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let content = match &self.content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Nodes(nodes) => nodes.iter().flat_map(Self::write).collect(),
        };
        element(self.tag, &content)
    }

    /// The elements inside.
    pub(super) fn inside(&self) -> &[Self] {
        match &self.content {
            Content::Bytes(_) => &[],
            Content::Nodes(nodes) => nodes,
        }
    }

    /// The node with these changes, none of them at the node itself.
    pub(super) fn edited(mut self, edits: &[Edit]) -> Self {
        for edit in edits {
            let mut left = usize::from(edit.at);
            if let Content::Nodes(nodes) = &mut self.content {
                change(nodes, &mut left, &edit.change);
            }
        }
        self
    }
}

/// One element in DER.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = content
        .len()
        .to_be_bytes()
        .into_iter()
        .skip_while(|digit| *digit == 0)
        .collect();
    let mut out = vec![tag];
    match (content.len(), u8::try_from(digits.len())) {
        (0..=0x7f, _) => out.push(digits.first().copied().unwrap_or(0)),
        (_, Ok(count)) => {
            out.push(0x80 | count);
            out.extend(digits);
        }
        _ => unreachable!("a length has at most eight digits"),
    }
    out.extend_from_slice(content);
    out
}

fn nodes(mut bytes: &[u8], depth: usize) -> Option<Vec<Node>> {
    let mut found = Vec::new();
    while let [tag, first, rest @ ..] = bytes {
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = digits
                    .iter()
                    .fold(0, |length, digit| (length << 8) | usize::from(*digit));
                (length, rest)
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        let inside = (tag & 0x20 != 0 && depth < DEEPEST)
            .then(|| nodes(content, depth + 1))
            .flatten();
        let content = inside.map_or_else(|| Content::Bytes(content.to_vec()), Content::Nodes);
        found.push(Node { tag: *tag, content });
        bytes = after;
    }
    bytes.is_empty().then_some(found)
}

/// Whether the change was made below these nodes; if not, `left` says how many more nodes to count.
fn change(nodes: &mut Vec<Node>, left: &mut usize, what: &Change) -> bool {
    for index in 0..nodes.len() {
        if *left == 0 {
            apply(nodes, index, what);
            return true;
        }
        *left -= 1;
        if let Content::Nodes(inside) = &mut nodes[index].content
            && change(inside, left, what)
        {
            return true;
        }
    }
    false
}

fn apply(nodes: &mut Vec<Node>, index: usize, what: &Change) {
    let node = &mut nodes[index];
    match what {
        Change::Tag(tag) => node.tag = *tag,
        Change::Content(bytes) => node.content = Content::Bytes(bytes.clone()),
        Change::Byte { at, value } => {
            if let Content::Bytes(bytes) = &mut node.content
                && let Some(byte) = bytes.get_mut(usize::from(*at))
            {
                *byte = *value;
            }
        }
        Change::Remove => drop(nodes.remove(index)),
        Change::Repeat => {
            let again = node.clone();
            nodes.insert(index, again);
        }
        Change::Swap => {
            if index + 1 < nodes.len() {
                nodes.swap(index, index + 1);
            }
        }
        Change::Insert { tag, content } => {
            let content = Content::Bytes(content.clone());
            nodes.insert(index, Node { tag: *tag, content });
        }
    }
}
