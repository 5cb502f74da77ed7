//! Numbers of all types as numbers without sign, in the same order.

use crate::{Value, ValueType};

const SIGN: u64 = 1 << 63;

pub(crate) fn of_i64(number: i64) -> u64 {
    number.cast_unsigned() ^ SIGN
}

pub(crate) fn to_i64(image: u64) -> i64 {
    (image ^ SIGN).cast_signed()
}

pub(crate) fn of_f64(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

pub(crate) fn to_f64(image: u64) -> f64 {
    f64::from_bits(if image & SIGN == 0 { !image } else { image ^ SIGN })
}

/// The one way in which a number is kept: zeroes are equal, and so is all that is not a number.
pub(crate) fn canonical(value: f64) -> f64 {
    if value.is_nan() {
        f64::NAN
    } else if value == 0.0 {
        0.0
    } else {
        value
    }
}

/// What an image of a whole number is more than the number.
pub(crate) fn bias(value_type: ValueType) -> i128 {
    if value_type == ValueType::I64 { i128::from(SIGN) } else { 0 }
}

/// The number of an image. Of strings the image is a code, and this is not asked.
#[inline(always)]
pub(crate) fn value<'a>(value_type: ValueType, image: u64) -> Value<'a> {
    match value_type {
        ValueType::I64 => Value::I64(to_i64(image)),
        ValueType::F64 => Value::F64(to_f64(image)),
        _ => Value::U64(image),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_the_order_of_their_numbers_and_lead_back() {
        let numbers = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX];
        assert!(numbers.map(of_i64).is_sorted());
        assert_eq!(numbers.map(of_i64).map(to_i64), numbers);
        let numbers = [
            f64::NEG_INFINITY,
            f64::MIN,
            -1.5,
            0.0,
            5e-324,
            1.0,
            f64::MAX,
            f64::INFINITY,
            f64::NAN,
        ];
        assert!(numbers.map(of_f64).is_sorted());
        assert_eq!(numbers.map(of_f64).map(to_f64).map(f64::to_bits), numbers.map(f64::to_bits));
        assert_eq!(i128::from(of_i64(-5)) - bias(ValueType::I64), -5);
    }
}
