//! The fuzz target of `fuzz/` for plan codecs, briefly.

#[path = "../../fuzz/src/codecs.rs"]
mod codecs;

use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #[test]
    fn codecs_take_any_message(bytes in prop_oneof![
        vec(any::<u8>(), 0..200),
        "\\{\"(Extract|Commit|Facts|Worklist)\":\\{\"[a-z_]{1,8}\":[0-9]{1,4}\\}\\}".prop_map(String::into_bytes),
    ]) {
        codecs::decode(&bytes);
    }
}
