//! Alignment of what two observers saw in one file.

use std::cmp::Ordering;

/// What can be seen in a file by several means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A function or class, from `def`, `async` or `class` to the end of its body.
    Definition,
    /// A call, all of it.
    Call,
    /// An imported name; the span is that of its statement.
    Import,
    /// A docstring literal.
    Docstring,
    /// A name used as an expression.
    Name,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Definition, Self::Call, Self::Import, Self::Docstring, Self::Name];

    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Definition => "definition",
            Self::Call => "call",
            Self::Import => "import",
            Self::Docstring => "docstring",
            Self::Name => "name",
        }
    }
}

/// One thing seen: the order is that of alignment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    /// What it is.
    pub kind: Kind,
    /// First byte in the file.
    pub bstart: i32,
    /// First byte after it.
    pub bend: i32,
    /// Its name; empty for what has none.
    pub name: String,
}

/// Why two observers disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Only the left one saw something there.
    OnlyLeft,
    /// Only the right one did.
    OnlyRight,
    /// Both saw it, under different names.
    Name,
    /// Both saw it begin, and end at different bytes.
    End,
    /// The right one refuses the whole file, the left one reads it.
    RightRefuses,
}

impl Reason {
    /// Code in tables.
    pub fn code(self) -> &'static str {
        match self {
            Self::OnlyLeft => "only_left",
            Self::OnlyRight => "only_right",
            Self::Name => "name",
            Self::End => "end",
            Self::RightRefuses => "right_refuses",
        }
    }
}

/// A disagreement, with the sightings of either side.
pub type Disagreement<'s> = (Reason, Option<&'s Sighting>, Option<&'s Sighting>);

/// Aligns the sightings of two observers, each sorted: how many agree, and what doesn't, in the order of the file.
pub fn align<'s>(left: &'s [Sighting], right: &'s [Sighting]) -> (usize, Vec<Disagreement<'s>>) {
    let (mut only_left, mut only_right) = (vec![], vec![]);
    let (mut l, mut r, mut agreed) = (0, 0, 0);
    loop {
        let order = match (left.get(l), right.get(r)) {
            (Some(left), Some(right)) => left.cmp(right),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        match order {
            Ordering::Less => only_left.push(&left[l]),
            Ordering::Greater => only_right.push(&right[r]),
            Ordering::Equal => agreed += 1,
        }
        l += usize::from(order.is_le());
        r += usize::from(order.is_ge());
    }
    let mut found = vec![];
    let same_span = |l: &Sighting, r: &Sighting| (l.kind, l.bstart, l.bend) == (r.kind, r.bstart, r.bend);
    pair(&mut only_left, &mut only_right, same_span, Reason::Name, &mut found);
    let same_start = |l: &Sighting, r: &Sighting| (l.kind, l.bstart, &l.name) == (r.kind, r.bstart, &r.name);
    pair(&mut only_left, &mut only_right, same_start, Reason::End, &mut found);
    found.extend(only_left.into_iter().map(|sighting| (Reason::OnlyLeft, Some(sighting), None)));
    found.extend(only_right.into_iter().map(|sighting| (Reason::OnlyRight, None, Some(sighting))));
    found.sort_by_key(|(_, left, right)| left.or(*right).map(|s| (s.kind, s.bstart, s.bend)));
    (agreed, found)
}

/// Takes out of both lists what belongs together; both are sorted by kind and first byte, which `same` asks for.
fn pair<'s>(
    left: &mut Vec<&'s Sighting>,
    right: &mut Vec<&'s Sighting>,
    same: impl Fn(&Sighting, &Sighting) -> bool,
    reason: Reason,
    found: &mut Vec<Disagreement<'s>>,
) {
    let key = |s: &Sighting| (s.kind, s.bstart);
    left.retain(|l| {
        let first = right.partition_point(|r| key(r) < key(l));
        let near = right[first..].iter().take_while(|r| key(r) == key(l));
        let Some(at) = near.into_iter().position(|r| same(l, r)) else { return true };
        found.push((reason, Some(*l), Some(right.remove(first + at))));
        false
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(list: &[(Kind, i32, i32, &str)]) -> Vec<Sighting> {
        let sighting = |&(kind, bstart, bend, name): &_| Sighting { kind, bstart, bend, name: String::from(name) };
        let mut sightings: Vec<Sighting> = list.iter().map(sighting).collect();
        sightings.sort();
        sightings
    }

    fn codes(left: &[Sighting], right: &[Sighting]) -> (usize, Vec<(&'static str, i32)>) {
        let (agreed, found) = align(left, right);
        let at = |l: Option<&Sighting>, r: Option<&Sighting>| l.or(r).unwrap().bstart;
        (agreed, found.into_iter().map(|(reason, l, r)| (reason.code(), at(l, r))).collect())
    }

    #[test]
    fn each_disagreement_has_its_reason() {
        use Kind::{Call, Import, Name};
        let left =
            seen(&[(Name, 0, 1, "a"), (Name, 2, 3, "b"), (Call, 0, 4, ""), (Import, 5, 9, "x"), (Name, 10, 11, "c")]);
        let right =
            seen(&[(Name, 0, 1, "a"), (Name, 2, 3, "B"), (Call, 0, 5, ""), (Import, 5, 9, "x"), (Name, 12, 13, "d")]);
        let expected = vec![("end", 0), ("name", 2), ("only_left", 10), ("only_right", 12)];
        assert_eq!(codes(&left, &right), (2, expected));
        assert_eq!(codes(&left, &left), (5, vec![]));
        assert_eq!(codes(&[], &left).1.len(), 5);
    }

    #[test]
    fn what_is_seen_twice_is_aligned_twice() {
        let left = seen(&[(Kind::Import, 0, 9, "a"), (Kind::Import, 0, 9, "a"), (Kind::Import, 0, 9, "b")]);
        let right = seen(&[(Kind::Import, 0, 9, "a"), (Kind::Import, 0, 9, "b"), (Kind::Import, 0, 9, "c")]);
        assert_eq!(codes(&left, &right), (2, vec![("name", 0)]));
    }
}
