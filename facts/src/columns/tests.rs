use arrow::array::AsArray;

use super::*;

#[test]
fn truncation_takes_rows_back() {
    let mut text = OptUtf8::default();
    for value in [Some("a"), None, Some("bcd")] {
        text.push(value);
    }
    text.truncate(2);
    text.push(Some("é"));
    let array = text.finish();
    assert_eq!(array.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a"), None, Some("é")]);
    assert_eq!(text.len(), 0);
}

#[test]
fn truncation_takes_lists_back() {
    let mut lists = Utf8List::default();
    lists.push(["a", "bc"]);
    lists.push([]);
    lists.push(["d"]);
    lists.truncate(2);
    lists.push(["é"]);
    assert_eq!((lists.len(), lists.bytes()), (3, 5 + 4 * 6));
    let array = lists.finish();
    let list = |row| array.as_list::<i32>().value(row);
    let texts = |row| list(row).as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!([texts(0), texts(1), texts(2)], [vec!["a", "bc"], vec![], vec!["é"]]);
    assert_eq!((lists.len(), lists.bytes()), (0, 0));
}

#[test]
fn a_vocabulary_survives_finish() {
    let mut kind = Symbol::default();
    kind.push("Name");
    kind.push("Call");
    kind.push("Name");
    let first = kind.finish();
    kind.push("Call");
    let second = kind.finish();
    let text = |array: &ArrayRef| {
        let plain = arrow::compute::cast(array, &arrow::datatypes::DataType::Utf8).unwrap();
        plain.as_string::<i32>().iter().map(|v| v.unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(text(&first), ["Name", "Call", "Name"]);
    assert_eq!(text(&second), ["Call"]);
}

#[test]
fn a_word_is_kept_once_and_nulls_and_lost_rows_leave_no_trace() {
    let mut name = OptWords::default();
    for value in [Some("self"), None, Some("x"), Some("self"), Some("lost")] {
        name.push(value);
    }
    name.truncate(4);
    name.push(Some("x"));
    let array = name.finish();
    assert_eq!(array.as_dictionary::<arrow::datatypes::UInt32Type>().values().len(), 3);
    let plain = arrow::compute::cast(&array, &arrow::datatypes::DataType::Utf8).unwrap();
    let plain: Vec<Option<&str>> = plain.as_string::<i32>().iter().collect();
    assert_eq!(plain, [Some("self"), None, Some("x"), Some("self"), Some("x")]);
    name.push(Some("x"));
    let next = name.finish();
    assert_eq!(next.as_dictionary::<arrow::datatypes::UInt32Type>().values().len(), 1);
}

#[test]
fn many_at_once_are_the_same_as_one_after_the_other() {
    let numbers = [Some(3), None, Some(-1)];
    let (mut one, mut many) = (OptInt32::default(), OptInt32::default());
    numbers.into_iter().for_each(|number| one.push(number));
    many.extend(numbers.into_iter());
    let expected = one.finish();
    assert_eq!(&expected, &many.finish());
    many.extend_where(&numbers.map(|number| number.is_some()), numbers.into_iter().map(Option::unwrap_or_default));
    assert_eq!(&expected, &many.finish());

    let symbols = [Some("Load"), Some("Del"), None, Some("Load")];
    let (mut one, mut many) = (OptSymbol::default(), OptSymbol::default());
    symbols.into_iter().for_each(|symbol| one.push(symbol));
    many.extend(symbols.into_iter());
    assert_eq!(&one.finish(), &many.finish());

    let (mut one, mut many) = (OptUtf8::default(), OptUtf8::default());
    symbols.into_iter().for_each(|text| one.push(text));
    many.extend(symbols.into_iter());
    assert_eq!(&one.finish(), &many.finish());

    let (mut one, mut many) = (OptWords::default(), OptWords::default());
    symbols.into_iter().for_each(|word| one.push(word));
    let keys = symbols.map(|word| word.map(|word| many.key(word)));
    many.extend_keys(keys.into_iter());
    assert_eq!(&one.finish(), &many.finish());

    let mut plain = Int32::default();
    plain.extend(0..3);
    assert_eq!(plain.finish().as_primitive::<arrow::datatypes::Int32Type>().values(), &[0, 1, 2]);
}

#[test]
fn booleans_become_the_bits_that_arrow_makes_of_them() {
    for length in 0..40 {
        for pattern in 0u64..64 {
            let flags: Vec<bool> =
                (0..length).map(|at| pattern.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> at & 1 == 1).collect();
            let mut taken = flags.clone();
            assert_eq!(packed(&mut taken), BooleanBuffer::from(flags.as_slice()), "{flags:?}");
            assert!(taken.is_empty());
        }
    }
}
