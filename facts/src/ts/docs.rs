//! Documentation: strings at the head of a body, and comments in front of (or inside) what they document.

use std::borrow::Cow;

use tree_sitter::Node;

use super::grammars::Grammar;
use super::rules::DocComments;
use super::tables::Span;
use super::text::{Text, cut};
use super::walk::Place;

/// What documentation belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    /// Ordinal of the node.
    pub ordinal: i32,
    /// Its kind.
    pub kind: &'static str,
    /// Bytes of its name.
    pub name: Option<(u32, u32)>,
}

/// Documentation of an owner.
pub struct DocText {
    /// First node.
    pub ordinal: i32,
    /// First to last node.
    pub span: Span,
    /// Text without marks.
    pub text: String,
    /// `string`, `line_comment` or `block_comment`.
    pub source: &'static str,
}

/// Documentation comments that follow each other.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    first: i32,
    span: Span,
    line: bool,
    /// Whether they document what they stand in.
    pub inner: bool,
}

impl Run {
    /// The last row with text.
    pub fn last_row(&self) -> u32 {
        last_row(&self.span)
    }
}

/// The last row with text: what takes its line break along ends at the start of the next row.
fn last_row(span: &Span) -> u32 {
    span.end.0 - u32::from(span.end.1 == 0 && span.end.0 > span.start.0)
}

/// Comments among the children of a node that wait for their owner.
#[derive(Debug, Clone, Copy)]
pub struct Pending {
    run: Option<Run>,
    /// From in front of the node itself.
    pub inherited: Option<Run>,
    /// Row on which the last child that is no comment ends.
    last_row: Option<u32>,
}

/// Which mark a comment starts with.
fn mark<'m>(comment: &[u8], marks: &[&'m str]) -> Option<&'m str> {
    marks.iter().copied().find(|mark| {
        // `////` and `/***` are rulers, `/**/` is empty.
        let longer = mark.len() == 3 && comment.get(3) == mark.as_bytes().last();
        comment.starts_with(mark.as_bytes()) && !longer && !(mark.starts_with("/*") && comment.len() < 5)
    })
}

impl Pending {
    /// For the children of a node.
    pub fn new(inherited: Option<Run>) -> Self {
        Self { run: None, inherited, last_row: None }
    }

    /// Takes a comment in; gives the run it ends, if that already has its owner.
    pub fn comment(&mut self, style: &DocComments, comment: &[u8], place: &Place) -> Option<Run> {
        let inner = mark(comment, style.inner).is_some();
        if !inner && mark(comment, style.line).or_else(|| mark(comment, style.block)).is_none() {
            return None;
        }
        // A comment behind code on the same line speaks of that code.
        if !inner && self.last_row == Some(place.span.start.0) {
            return None;
        }
        let line = comment.starts_with(b"//");
        if let Some(run) = &mut self.run
            && run.line
            && line
            && run.inner == inner
            && (!style.adjacent || run.last_row() + 1 >= place.span.start.0)
        {
            run.span.bytes.1 = place.span.bytes.1;
            run.span.end = place.span.end;
            return None;
        }
        self.run.replace(Run { first: place.ordinal, span: place.span, line, inner }).filter(|run| run.inner)
    }

    /// Gives the comments in front of a child.
    pub fn take(&mut self, child: &Span) -> Option<Run> {
        self.last_row = Some(last_row(child));
        self.run.take()
    }

    /// What is left after the last child, if it has its owner.
    pub fn rest(&self) -> Option<Run> {
        self.run.filter(|run| run.inner)
    }
}

/// Text of documentation comments, without their marks.
pub fn of_comments(style: &DocComments, text: Text<'_>, run: Run, limit: usize) -> DocText {
    // Marks are taken away below, so the text is shorter than its source, but by how much is not known before.
    let source = text.capped(run.span.bytes, limit.saturating_mul(2));
    let mut lines: Vec<&str> = vec![];
    if run.line {
        let marks: Vec<&str> = style.line.iter().chain(style.inner).copied().filter(|m| m.starts_with("//")).collect();
        for line in source.lines().map(str::trim) {
            if let Some(mark) = mark(line.as_bytes(), &marks) {
                let line = &line[mark.len()..];
                lines.push(line.strip_prefix(' ').unwrap_or(line));
            }
        }
    } else {
        let marks: Vec<&str> = style.block.iter().chain(style.inner).copied().collect();
        let opening = mark(source.as_bytes(), &marks).map_or(2, str::len);
        let body = source[opening..].strip_suffix("*/").unwrap_or(&source[opening..]);
        for line in body.lines().map(str::trim) {
            let line = line.strip_prefix('*').unwrap_or(line);
            lines.push(line.strip_prefix(' ').unwrap_or(line));
        }
    }
    let is_blank = |line: &&str| line.trim().is_empty();
    let start = lines.iter().position(|l| !is_blank(l)).unwrap_or(lines.len());
    let end = lines.iter().rposition(|l| !is_blank(l)).map_or(start, |last| last + 1);
    let joined = lines[start..end].join("\n");
    DocText {
        ordinal: run.first,
        span: run.span,
        text: cut(&joined, limit).to_owned(),
        source: if run.line { "line_comment" } else { "block_comment" },
    }
}

/// A node and its ordinal.
type Numbered<'t> = (Node<'t>, i32);

/// The first child that is asked for, with its ordinal.
fn child<'t>((node, ordinal): Numbered<'t>, wanted: impl Fn(&Node<'t>) -> bool) -> Option<Numbered<'t>> {
    let mut cursor = node.walk();
    let mut ordinal = ordinal + 1;
    let mut more = cursor.goto_first_child();
    while more {
        let child = cursor.node();
        if wanted(&child) {
            return Some((child, ordinal));
        }
        ordinal += child.descendant_count() as i32;
        more = cursor.goto_next_sibling();
    }
    None
}

/// The string at the head of a Python body, if it is a plain one that stands alone.
pub fn head_string(grammar: &Grammar, text: Text<'_>, node: Node<'_>, owner: Owner, limit: usize) -> Option<DocText> {
    let kind = |node: &Node<'_>| grammar.kind(node.kind_id());
    let content = |node: &Node<'_>| node.is_named() && !node.is_extra();
    let root = (node, owner.ordinal);
    let body = if kind(&node) == "module" { root } else { child(root, |n| kind(n) == "block")? };
    let mut string = child(body, content).filter(|(n, _)| kind(n) == "expression_statement")?;
    while matches!(kind(&string.0), "expression_statement" | "parenthesized_expression") {
        if string.0.named_child_count() != 1 {
            return None;
        }
        string = child(string, content)?;
    }
    let (node, ordinal) = string;
    let text = match kind(&node) {
        "string" => literal(grammar, text, &node, limit)?.into_owned(),
        "concatenated_string" => {
            let mut joined = String::new();
            for part in super::imports::children(&node).filter(|n| kind(n) == "string") {
                joined.push_str(&literal(grammar, text, &part, limit)?);
            }
            cut(&joined, limit).to_owned()
        }
        _ => return None,
    };
    Some(DocText { ordinal, span: Span::of(&node), text, source: "string" })
}

/// What stands between the quotes of a plain string: bytes, formatted and template strings document nothing.
fn literal<'a>(grammar: &Grammar, text: Text<'a>, string: &Node<'_>, limit: usize) -> Option<Cow<'a, str>> {
    let kind = |node: Node<'_>| grammar.kind(node.kind_id());
    let opening = string.child(0).filter(|n| kind(*n) == "string_start")?;
    let prefix = &text.bytes[opening.byte_range()];
    if prefix.iter().any(|b| b"bBfFtT".contains(b)) {
        return None;
    }
    let last = string.child(string.child_count().checked_sub(1)? as u32)?;
    let end = if kind(last) == "string_end" { last.start_byte() } else { string.end_byte() };
    Some(text.capped((opening.end_byte() as u32, end as u32), limit))
}
