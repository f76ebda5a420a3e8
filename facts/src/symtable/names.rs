//! The names of a file, each kept once, and their mangling.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A name of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NameId(u32);

impl NameId {
    /// Position among the file's names.
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

macro_rules! known_names {
    ($($constant:ident = $text:literal),+ $(,)?) => {
        known_names!(@define 0u32, $($constant),+);
        const KNOWN: &[&str] = &[$($text),+];
    };
    (@define $id:expr, $constant:ident $(, $rest:ident)*) => {
        pub(super) const $constant: NameId = NameId($id);
        known_names!(@define $id + 1, $($rest),*);
    };
    (@define $id:expr,) => {};
}

// Names that CPython's compiler makes up or treats specially.
known_names! {
    TOP = "top",
    LAMBDA = "lambda",
    GENEXPR = "genexpr",
    LISTCOMP = "listcomp",
    SETCOMP = "setcomp",
    DICTCOMP = "dictcomp",
    ITERATOR = ".0",
    SUPER = "super",
    DEBUG = "__debug__",
    CLASS = "__class__",
    CLASSDICT = "__classdict__",
    CONDITIONAL_ANNOTATIONS = "__conditional_annotations__",
    TYPE_PARAMS = "__type_params__",
    DOT_TYPE_PARAMS = ".type_params",
    DOT_GENERIC_BASE = ".generic_base",
    DOT_DEFAULTS = ".defaults",
    DOT_KWDEFAULTS = ".kwdefaults",
    DOT_FORMAT = ".format",
    ANNOTATION = "_annotation",
    ANNOTATE = "__annotate__",
}

/// A hash of few instructions: names are short, and their maps are read but never iterated.
#[derive(Debug, Default)]
pub(super) struct FastHasher(u64);

impl FastHasher {
    #[inline]
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for FastHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.mix(u64::from_le_bytes([word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7]]));
        }
        let rest = words.remainder().iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        self.mix(rest ^ (bytes.len() as u64) << 56);
    }

    #[inline]
    fn write_u8(&mut self, _: u8) {
        // Ends a text; the length is already mixed in.
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

/// A map keyed by names.
pub(super) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FastHasher>>;

/// The names of a file.
#[derive(Debug)]
pub(super) struct Names<'a> {
    texts: Vec<Cow<'a, str>>,
    ids: FastMap<Cow<'a, str>, NameId>,
    /// By name: whether a class mangles it.
    private: Vec<bool>,
    mangled: FastMap<(NameId, NameId), NameId>,
}

impl<'a> Names<'a> {
    pub(super) fn new() -> Self {
        let mut names = Self { texts: vec![], ids: FastMap::default(), private: vec![], mangled: FastMap::default() };
        for name in KNOWN {
            names.intern(name);
        }
        names
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// The name of that text.
    #[inline]
    pub(super) fn intern(&mut self, text: &'a str) -> NameId {
        match self.ids.get(text) {
            Some(id) => *id,
            None => self.add(Cow::Borrowed(text)),
        }
    }

    fn add(&mut self, text: Cow<'a, str>) -> NameId {
        let id = NameId(self.texts.len() as u32);
        self.private.push(text.starts_with("__") && !text.ends_with("__") && !text.contains('.'));
        self.texts.push(text.clone());
        self.ids.insert(text, id);
        id
    }

    /// Its text.
    pub(super) fn text(&self, name: NameId) -> &str {
        &self.texts[name.index()]
    }

    /// The name as the body of a class sees it: `__x` becomes `_C__x` (`_Py_Mangle`).
    #[inline]
    pub(super) fn mangle(&mut self, class: Option<NameId>, name: NameId) -> NameId {
        match class {
            Some(class) if self.private[name.index()] => self.mangle_private(class, name),
            _ => name,
        }
    }

    fn mangle_private(&mut self, class: NameId, name: NameId) -> NameId {
        if let Some(mangled) = self.mangled.get(&(class, name)) {
            return *mangled;
        }
        let mangled = match self.text(class).trim_start_matches('_') {
            "" => name,
            stripped => {
                let text = format!("_{stripped}{}", self.text(name));
                self.ids.get(text.as_str()).copied().unwrap_or_else(|| self.add(Cow::Owned(text)))
            }
        };
        self.mangled.insert((class, name), mangled);
        mangled
    }
}
