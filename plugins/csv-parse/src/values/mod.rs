//! Reads one cell as a value of one type.
//!
//! The cells are untrusted: what a message quotes of one is cut short and holds
//! no control characters.

use std::str;

use gristmill_stage::Text;

/// How much of a cell a message quotes.
const QUOTED_CHARACTERS_MAX: usize = 40;

/// Why a record cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Fault {
    /// A cell that does not look like what it should be.
    #[cold]
    fn expected(code: &'static str, what: &str, cell: &[u8]) -> Box<Fault> {
        Box::new(Fault {
            code,
            message: format!("expected {what}, found `{}`", quote(cell)),
        })
    }

    /// An empty cell where something is needed.
    #[cold]
    pub(crate) fn empty(what: &str) -> Box<Fault> {
        Box::new(Fault {
            code: "empty",
            message: format!("expected {what}, found nothing"),
        })
    }
}

/// A cell for a message.
fn quote(cell: &[u8]) -> String {
    let text = String::from_utf8_lossy(&cell[..cell.len().min(QUOTED_CHARACTERS_MAX * 4)]);
    let mut quoted = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == QUOTED_CHARACTERS_MAX {
            quoted.push('…');
            break;
        }
        match character.is_control() {
            true => quoted.extend(character.escape_default()),
            false => quoted.push(character),
        }
    }
    quoted
}

/// Halves doubled quotes.
pub(crate) fn unescape(raw: &[u8], unescaped: &mut Vec<u8>) {
    let mut after_quote = false;
    for &byte in raw {
        after_quote = byte == b'"' && !after_quote;
        if !after_quote {
            unescaped.push(byte);
        }
    }
}

/// Text that PostgreSQL can hold.
#[inline(never)]
pub(crate) fn text(cell: &[u8]) -> Result<&str, Box<Fault>> {
    let text =
        str::from_utf8(cell).map_err(|_| Fault::expected("not-utf8", "text in UTF-8", cell))?;
    match cell.contains(&0) {
        true => Err(Fault::expected("nul-byte", "text without NUL bytes", cell)),
        false => Ok(text),
    }
}

/// The same, for where the bytes are enough.
#[inline]
pub(crate) fn checked_text(cell: &[u8]) -> Result<Text<'_>, Box<Fault>> {
    match Text::from_ascii(cell) {
        Some(text) => Ok(text),
        None => text(cell).map(Text::from),
    }
}

/// True or false.
pub(crate) fn boolean(cell: &[u8]) -> Result<bool, Box<Fault>> {
    let is = |word: &str| cell.eq_ignore_ascii_case(word.as_bytes());
    if is("true") || is("t") || is("1") {
        Ok(true)
    } else if is("false") || is("f") || is("0") {
        Ok(false)
    } else {
        Err(Fault::expected("not-a-boolean", "true or false", cell))
    }
}

/// A whole number.
pub(crate) fn int64(cell: &[u8]) -> Result<i64, Box<Fault>> {
    let (negative, digits) = sign(without_spaces(cell));
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Fault::expected(
            "not-a-whole-number",
            "a whole number",
            cell,
        ));
    }
    let mut number = 0_i64;
    for digit in digits {
        // Downwards, because there is one more number below zero than above.
        number = number
            .checked_mul(10)
            .and_then(|number| number.checked_sub(i64::from(digit - b'0')))
            .ok_or_else(|| out_of_range("a whole number of 64 bits", cell))?;
    }
    match negative {
        true => Ok(number),
        false => number
            .checked_neg()
            .ok_or_else(|| out_of_range("a whole number of 64 bits", cell)),
    }
}

/// A number of double precision, correctly rounded.
#[inline(always)]
pub(crate) fn float64(cell: &[u8]) -> Result<f64, Box<Fault>> {
    match six_decimals(cell) {
        Some(number) => Ok(number),
        None => float64_of_any_form(cell),
    }
}

#[inline(never)]
fn float64_of_any_form(cell: &[u8]) -> Result<f64, Box<Fault>> {
    if let Some(number) = decimal(cell) {
        return Ok(number);
    }
    let (negative, digits) = sign(without_spaces(cell));
    let fault = || Fault::expected("not-a-number", "a number", cell);
    // Rules out what the library reads besides: a second sign, `inf`, `nan`.
    if !matches!(digits.first(), Some(b'0'..=b'9' | b'.')) {
        return Err(fault());
    }
    let number: f64 = fast_float2::parse(digits).map_err(|_| fault())?;
    match number.is_finite() {
        true => Ok(if negative { -number } else { number }),
        false => Err(out_of_range("a number of double precision", cell)),
    }
}

#[cold]
fn out_of_range(what: &str, cell: &[u8]) -> Box<Fault> {
    Fault::expected("out-of-range", what, cell)
}

fn without_spaces(cell: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| *byte == b' ';
    let start = cell
        .iter()
        .position(|byte| !is_space(byte))
        .unwrap_or(cell.len());
    let end = cell
        .iter()
        .rposition(|byte| !is_space(byte))
        .map_or(start, |last| last + 1);
    &cell[start..end]
}

/// Whether there is a minus, and what follows the sign.
fn sign(number: &[u8]) -> (bool, &[u8]) {
    match number {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, number),
    }
}

/// Powers of ten that double precision holds exactly, as far as they are needed.
const POWERS_OF_TEN: [f64; 20] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19,
];

/// Below this every whole number is exact in double precision.
const EXACT_BELOW: u64 = 1 << 53;

/// Powers of ten by which the first eight digits of up to sixteen count.
const WHOLE_POWERS_OF_TEN: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];

/// Eight times the character `0`.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// What the operator writes: up to sixteen digits without a sign, the point and
/// six decimals, read as two or three words without a loop. `None` for all others,
/// and for those that [`decimal`] would not take either.
#[inline(always)]
fn six_decimals(cell: &[u8]) -> Option<f64> {
    // The last digit before the point, the point, and the decimals.
    let end = u64::from_le_bytes(*cell.last_chunk()?) ^ ZEROS;
    if end & 0xff00 != 0x1e00 {
        return None;
    }
    let decimals = end >> 16 << 16;
    let begin = u64::from_le_bytes(*cell.first_chunk()?) ^ ZEROS;
    let count = cell.len() - 7;
    let whole = if count <= 8 {
        // Moves the digits to where the last of eight would be, behind zeros.
        let digits = begin << (64 - 8 * count);
        if !are_small(digits) || !are_small(decimals) {
            return None;
        }
        eight_digits(digits)
    } else {
        let more = u64::from_le_bytes(*cell.get(8..)?.first_chunk()?) ^ ZEROS;
        let more_count = count - 8;
        let power = WHOLE_POWERS_OF_TEN.get(more_count)?;
        let digits = more << (64 - 8 * more_count);
        if !are_small(begin) || !are_small(digits) || !are_small(decimals) {
            return None;
        }
        eight_digits(begin) * power + eight_digits(digits)
    };
    // Mostly zeros, without which more numbers are exact.
    if decimals == 0 {
        return (whole < EXACT_BELOW).then_some(whole as f64);
    }
    if whole > EXACT_BELOW / 1_000_000 {
        return None;
    }
    let mantissa = whole * 1_000_000 + eight_digits(decimals);
    (mantissa < EXACT_BELOW).then(|| mantissa as f64 / 1e6)
}

/// A plain decimal whose digits, without the point, are an exact double: then one
/// division of two exact numbers is correctly rounded. `None` for all others.
fn decimal(cell: &[u8]) -> Option<f64> {
    let (negative, digits) = sign(cell);
    // The operator writes six decimals, and mostly zeros.
    let (digits, may_have_point) = match digits.strip_suffix(b".000000") {
        Some(digits) => (digits, false),
        None => (digits, true),
    };
    let (whole, mut mantissa) = leading_digits(digits, 0);
    let mut used = whole;
    let mut decimals = 0;
    if may_have_point && digits.get(whole) == Some(&b'.') {
        (decimals, mantissa) = leading_digits(&digits[whole + 1..], mantissa);
        used += 1 + decimals;
    }
    // Twenty digits may not fit into the mantissa.
    let count = whole + decimals;
    if used != digits.len() || count == 0 || count > 19 || mantissa >= EXACT_BELOW {
        return None;
    }
    let number = match decimals {
        0 => mantissa as f64,
        _ => mantissa as f64 / POWERS_OF_TEN[decimals],
    };
    Some(if negative { -number } else { number })
}

/// How many digits there are in front, and the number that they and the ones in
/// `number` before them make. It wraps where there are more than 19.
#[inline]
fn leading_digits(bytes: &[u8], mut number: u64) -> (usize, u64) {
    let mut count = 0;
    let mut rest = bytes;
    while let Some(word) = rest.first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        let digits = word ^ ZEROS;
        if !are_small(digits) {
            break;
        }
        number = number
            .wrapping_mul(100_000_000)
            .wrapping_add(eight_digits(digits));
        count += 8;
        rest = &rest[8..];
    }
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        count += 1;
    }
    (count, number)
}

/// Whether eight bytes are all 0 to 9: digits without what makes them characters.
#[inline]
fn are_small(word: u64) -> bool {
    // The upper half is 0, and still is when 6 is added.
    (word | word.wrapping_add(0x0606_0606_0606_0606)) & 0xf0f0_f0f0_f0f0_f0f0 == 0
}

/// The number that eight digits, 0 to 9 each, make: pairs, then fours, then all.
#[inline]
fn eight_digits(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}

/// Microseconds since 1970-01-01 00:00:00 UTC.
#[inline(never)]
pub(crate) fn timestamp(cell: &[u8]) -> Result<i64, Box<Fault>> {
    let Some(((date, separator, time), zone)) = timestamp_parts(cell) else {
        return Err(Fault::expected("not-a-timestamp", "a timestamp", cell));
    };
    match (separator, zone) {
        (b' ', b" +0000 UTC") | (b'T', b"Z" | b"+00:00") => {}
        _ => {
            let what = "a timestamp such as `2026-01-10 05:00:00 +0000 UTC`";
            return Err(Fault::expected("not-utc", what, cell));
        }
    }
    Ok((date * 86_400 + time) * 1_000_000)
}

/// The days, the separator, the seconds of the day, and what follows them.
#[expect(
    clippy::type_complexity,
    reason = "taken apart where it is called, once"
)]
fn timestamp_parts(cell: &[u8]) -> Option<((i64, u8, i64), &[u8])> {
    let (text, zone) = cell.split_first_chunk::<19>()?;
    let [
        ..,
        b'-',
        _,
        _,
        b'-',
        _,
        _,
        separator,
        _,
        _,
        b':',
        _,
        _,
        b':',
        _,
        _,
    ] = text
    else {
        return None;
    };
    let pair = |at: usize| {
        let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
        (tens <= 9 && ones <= 9).then(|| i64::from(tens * 10 + ones))
    };
    let (year, month, day) = (pair(0)? * 100 + pair(2)?, pair(5)?, pair(8)?);
    let (hour, minute, second) = (pair(11)?, pair(14)?, pair(17)?);
    let in_calendar =
        year >= 1 && (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !in_calendar || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = hour * 3600 + minute * 60 + second;
    Some((
        (days_since_1970(year, month, day), *separator, seconds),
        zone,
    ))
}

fn days_in(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days of the Gregorian calendar. Years begin in March here, so that the leap
/// day is the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    // From 0000-03-01 to 1970-01-01.
    days - 719_468
}

#[cfg(test)]
mod tests;
