//! From words to a filter.

use super::{
    Wrong, no_such_field,
    words::{Comparison, Word, WordKind},
};
use crate::moment;
use annals::columns::{Constant, Field, Filter, Role, Schema, ValueType};
use std::ops::Range;

/// Brackets and `not` deeper than this are refused: each takes some of the stack.
const DEPTH_MAX: usize = 64;

/// A parser at some word.
pub(super) struct Parser<'w> {
    words: &'w [Word],
    at: usize,
    end: usize,
    schema: &'w Schema,
    now_ns: i64,
    depth: usize,
}

type Parsed<T> = Result<T, Wrong>;

impl<'w> Parser<'w> {
    pub(super) fn new(text: &str, words: &'w [Word], schema: &'w Schema, now_ns: i64) -> Self {
        Self { words, at: 0, end: text.len(), schema, now_ns, depth: 0 }
    }

    /// All of it.
    pub(super) fn filter(mut self) -> Parsed<Filter> {
        let filter = self.any()?;
        match self.words.get(self.at) {
            None => Ok(filter),
            Some(_) => Err(self.wrong("`and` or `or` should stand here")),
        }
    }

    fn any(&mut self) -> Parsed<Filter> {
        let mut filters = vec![self.all()?];
        while self.take("or") {
            filters.push(self.all()?);
        }
        Ok(one_or(filters, Filter::Or))
    }

    fn all(&mut self) -> Parsed<Filter> {
        let mut filters = vec![self.one()?];
        while self.take("and") {
            filters.push(self.one()?);
        }
        Ok(one_or(filters, Filter::And))
    }

    fn one(&mut self) -> Parsed<Filter> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.wrong("there are too many brackets inside each other"));
        }
        let filter = if self.take("not") {
            !self.one()?
        } else if self.kind() == Some(&WordKind::Open) {
            let open = self.here();
            self.at += 1;
            let inner = self.any()?;
            if self.kind() != Some(&WordKind::Close) {
                let what = "this bracket is not closed here; `and`, `or` or `)` should stand there";
                let at = if self.at < self.words.len() { self.here() } else { open };
                return Err(Wrong::new(what, at));
            }
            self.at += 1;
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    /// What is said of one field.
    fn test(&mut self) -> Parsed<Filter> {
        let place = self.here();
        let name = match self.kind() {
            Some(WordKind::Bare(name) | WordKind::Quoted(name)) => name.as_str(),
            _ => return Err(self.wrong("the name of a field should stand here")),
        };
        self.at += 1;
        let Some(index) = self.schema.index_of(name) else {
            return match self.flag(name) {
                Some((field, bit)) => self.of_flag(field, bit),
                None => Err(Wrong::new(no_such_field(name, self.schema), place)),
            };
        };
        let field = &self.schema.fields()[index];
        if let Some(WordKind::Compare(comparison)) = self.kind() {
            let comparison = *comparison;
            self.at += 1;
            let value = self.value(field)?;
            return Ok(value.compared(index, comparison));
        }
        let is_not = self.take("not");
        let filter = if self.take("in") {
            self.list(index, field)?
        } else if self.take("starts") {
            if !self.take("with") {
                return Err(self.wrong("`with` should stand here"));
            }
            self.prefix(index, field)?
        } else if !is_not && self.take("is") {
            let is_not = self.take("not");
            let present = Filter::Present(index);
            let is_present = match () {
                () if self.take("present") => true,
                () if self.take("absent") => false,
                () => return Err(self.wrong("`absent` or `present` should stand here")),
            };
            return Ok(if is_present != is_not { present } else { !present });
        } else if !is_not && self.take("set") {
            Filter::FlagsSet(index, self.flags(field)?)
        } else if !is_not && self.take("unset") {
            Filter::FlagsUnset(index, self.flags(field)?)
        } else {
            let name = field.name();
            let what = "should stand behind the field: =, !=, <, <=, >, >=, in (…), starts with, is absent";
            let what = match field.role() {
                Role::Flags(_) => format!("one of these {what}, set, unset"),
                _ => format!("one of these {what}"),
            };
            return Err(self.wrong(&format!("{what} (`{name}` is {})", field.role())));
        };
        Ok(if is_not { !filter } else { filter })
    }

    /// A flag by its name alone, or compared with yes or no.
    fn of_flag(&mut self, field: usize, bit: u16) -> Parsed<Filter> {
        let set = Filter::FlagsSet(field, bit);
        let Some(WordKind::Compare(comparison)) = self.kind() else { return Ok(set) };
        let is_equal = match comparison {
            Comparison::Equal => true,
            Comparison::NotEqual => false,
            _ => return Err(self.wrong("a flag is true or false: write =, or its name alone")),
        };
        self.at += 1;
        let is_true = match () {
            () if self.take("true") => true,
            () if self.take("false") => false,
            () => return Err(self.wrong("`true` or `false` should stand here")),
        };
        Ok(if is_equal == is_true { set } else { Filter::FlagsUnset(field, bit) })
    }

    fn flag(&self, name: &str) -> Option<(usize, u16)> {
        self.schema.fields().iter().enumerate().find_map(|(index, field)| {
            let Role::Flags(names) = field.role() else { return None };
            let bit = names.iter().position(|known| known == name)?;
            Some((index, 1 << bit))
        })
    }

    fn flags(&mut self, field: &Field) -> Parsed<u16> {
        let Role::Flags(names) = field.role() else {
            let what = format!("`{}` is {}, and has no flags", field.name(), field.role());
            return Err(Wrong::new(what, self.back()));
        };
        let mut bits = 0;
        loop {
            let place = self.here();
            let name = match self.kind() {
                Some(WordKind::Bare(name) | WordKind::Quoted(name)) => name,
                _ => return Err(self.wrong("the name of a flag should stand here")),
            };
            let bit = names.iter().position(|known| known == name).ok_or_else(|| {
                let what = format!("there is no such flag; there are {}", names.join(", "));
                Wrong::new(what, place)
            })?;
            bits |= 1 << bit;
            self.at += 1;
            if self.kind() != Some(&WordKind::Comma) {
                return Ok(bits);
            }
            self.at += 1;
        }
    }

    fn list(&mut self, index: usize, field: &Field) -> Parsed<Filter> {
        if self.kind() != Some(&WordKind::Open) {
            return Err(self.wrong("a list should stand here: (a, b)"));
        }
        self.at += 1;
        let mut values = Vec::new();
        loop {
            match self.value(field)? {
                Value::Fits(constant) => values.push(constant),
                // What no event can have is in no event.
                Value::BelowAll | Value::AboveAll => {}
            }
            match self.kind() {
                Some(WordKind::Comma) => self.at += 1,
                Some(WordKind::Close) => {
                    self.at += 1;
                    return Ok(Filter::In(index, values));
                }
                _ => return Err(self.wrong("a comma or `)` should stand here")),
            }
        }
    }

    fn prefix(&mut self, index: usize, field: &Field) -> Parsed<Filter> {
        if field.value_type() != ValueType::Text {
            let what = format!("`{}` is {}, and no string", field.name(), field.role());
            return Err(Wrong::new(what, self.back()));
        }
        let text = self.text()?;
        Ok(Filter::Prefix(index, text.to_owned()))
    }

    fn text(&mut self) -> Parsed<&'w str> {
        match self.kind() {
            Some(WordKind::Bare(text) | WordKind::Quoted(text)) => {
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.wrong("a value should stand here")),
        }
    }

    /// A value that a field may have.
    fn value(&mut self, field: &Field) -> Parsed<Value> {
        let place = self.here();
        let text = self.text()?;
        let wrong = |what: &str| {
            let what = format!("`{}` is {}, which takes {what}", field.name(), field.role());
            Wrong::new(what, place.clone())
        };
        Ok(match (field.role(), field.value_type()) {
            (Role::Ts, _) => {
                let ns = moment::asked(text, self.now_ns);
                Value::Fits(Constant::I64(ns.map_err(|what| Wrong::new(what, place.clone()))?))
            }
            (Role::Flags(names), _) => {
                let number = text.parse().map_err(|_| {
                    let name = names.first().map_or("a", String::as_str);
                    wrong(&format!("a number here; write `{} set {name}`", field.name()))
                })?;
                Value::unsigned(number)
            }
            (_, ValueType::Text) => Value::Fits(Constant::Text(text.to_owned())),
            (_, ValueType::F64) => {
                let number = text.parse().map_err(|_| wrong("a number"))?;
                Value::Fits(Constant::F64(number))
            }
            (_, ValueType::I64) => {
                let number: i128 = text.parse().map_err(|_| wrong("a whole number"))?;
                match i64::try_from(number) {
                    Ok(number) => Value::Fits(Constant::I64(number)),
                    Err(_) => {
                        if number < 0 {
                            Value::BelowAll
                        } else {
                            Value::AboveAll
                        }
                    }
                }
            }
            _ => Value::unsigned(text.parse().map_err(|_| wrong("a whole number"))?),
        })
    }

    /// Takes a word of the language, if it is the next.
    fn take(&mut self, word: &str) -> bool {
        let is_it =
            matches!(self.kind(), Some(WordKind::Bare(bare)) if bare.eq_ignore_ascii_case(word));
        self.at += usize::from(is_it);
        is_it
    }

    fn kind(&self) -> Option<&'w WordKind> {
        self.words.get(self.at).map(|word| &word.kind)
    }

    /// Where the next word stands.
    fn here(&self) -> Range<usize> {
        self.words.get(self.at).map_or(self.end..self.end, |word| word.at.clone())
    }

    /// Where the last word stood.
    fn back(&self) -> Range<usize> {
        let last = self.at.checked_sub(1).and_then(|at| self.words.get(at));
        last.map_or(0..0, |word| word.at.clone())
    }

    fn wrong(&self, what: &str) -> Wrong {
        Wrong::new(what, self.here())
    }
}

/// A value to compare with.
enum Value {
    Fits(Constant),
    /// Lower than all that the field can have.
    BelowAll,
    /// Higher than all.
    AboveAll,
}

impl Value {
    fn unsigned(number: i128) -> Self {
        match u64::try_from(number) {
            Ok(number) => Self::Fits(Constant::U64(number)),
            Err(_) if number < 0 => Self::BelowAll,
            Err(_) => Self::AboveAll,
        }
    }

    /// What an event has to have in a field. Without a value it is meant by nothing but `!=`.
    fn compared(self, field: usize, comparison: Comparison) -> Filter {
        use Comparison::{AtLeast, AtMost, Equal, Less, More, NotEqual};
        let none = Filter::Or(Vec::new());
        match (self, comparison) {
            (Self::BelowAll, More | AtLeast) | (Self::AboveAll, Less | AtMost) => {
                Filter::Present(field)
            }
            (Self::BelowAll | Self::AboveAll, NotEqual) => Filter::All,
            (Self::BelowAll | Self::AboveAll, _) => none,
            (Self::Fits(constant), Equal) => Filter::Eq(field, constant),
            (Self::Fits(constant), NotEqual) => !Filter::Eq(field, constant),
            (Self::Fits(constant), AtLeast) => Filter::AtLeast(field, constant),
            (Self::Fits(constant), AtMost) => Filter::AtMost(field, constant),
            // Of whole numbers the next one.
            (Self::Fits(Constant::I64(number)), More) => number
                .checked_add(1)
                .map_or(none, |next| Filter::AtLeast(field, Constant::I64(next))),
            (Self::Fits(Constant::I64(number)), Less) => number
                .checked_sub(1)
                .map_or(none, |next| Filter::AtMost(field, Constant::I64(next))),
            (Self::Fits(Constant::U64(number)), More) => number
                .checked_add(1)
                .map_or(none, |next| Filter::AtLeast(field, Constant::U64(next))),
            (Self::Fits(Constant::U64(number)), Less) => number
                .checked_sub(1)
                .map_or(none, |next| Filter::AtMost(field, Constant::U64(next))),
            (Self::Fits(constant), More) => {
                Filter::AtLeast(field, constant.clone()).and(!Filter::Eq(field, constant))
            }
            (Self::Fits(constant), Less) => {
                Filter::AtMost(field, constant.clone()).and(!Filter::Eq(field, constant))
            }
        }
    }
}

fn one_or(mut filters: Vec<Filter>, of: impl FnOnce(Vec<Filter>) -> Filter) -> Filter {
    match filters.len() {
        1 => filters.remove(0),
        _ => of(filters),
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::words;
    use super::*;
    use annals::columns::{Dimension, Value as Kept};
    use proptest::prelude::*;

    const NOON: i64 = 1_431_857_103_000_000_000;

    fn schema() -> Schema {
        Schema::builder(1)
            .with("time", Role::Ts)
            .with("user", Role::Dimension(Dimension::Plain))
            .with("status", Role::Status)
            .with_optional("cost", Role::MetricF64)
            .with_optional("bytes", Role::CounterU64)
            .with("flags", Role::Flags(vec!["secure".into(), "cached".into()]))
            .with("not", Role::Label)
            .build()
            .unwrap()
    }

    fn parse(text: &str) -> Result<Filter, Wrong> {
        let schema = schema();
        let filter = Parser::new(text, &words(text)?, &schema, NOON).filter()?;
        filter.check(&schema).expect("what is read can be asked");
        Ok(filter)
    }

    /// Whether the event of ada at noon is meant: status 503, cost 1.5, no bytes, cached.
    fn is_meant(text: &str) -> bool {
        let filter = parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
        filter.matches(|field| match field {
            0 => Kept::I64(NOON),
            1 => Kept::Text("ada lovelace"),
            2 => Kept::U64(503),
            3 => Kept::F64(1.5),
            5 => Kept::U64(2),
            6 => Kept::Text("x"),
            _ => Kept::Absent,
        })
    }

    #[test]
    fn expressions_mean_what_they_say() {
        for text in [
            "status >= 500",
            "status > 502 and status < 504",
            "status = 503 AND user starts with ada",
            "user = 'ada lovelace'",
            "user > ada and user <= 'ada lovelace'",
            "user != bob",
            "status in (1, 503)",
            "status not in (1, -2, 99999999999999999999)",
            "not status = 500",
            "status = 500 or status = 503 and user starts with 'ada'",
            "(status = 500 or status = 503) and not (user = bob)",
            "cost > 1 and cost < 1.6 and cost = 1.5 and cost >= 1.5",
            "bytes is absent and cost is present and cost is not absent",
            "bytes != 5",
            "flags set cached and flags unset secure",
            "cached",
            "not secure",
            "cached = true and secure = false and secure != true",
            "flags = 2",
            "time >= -1h and time <= now",
            "time = 2015-05-17T10:05:03Z",
            "time >= 2015-05-17 and time < 2015-05-18",
            "status > -1 and status < 99999999999999999999 and status != -1",
            "\"not\" = x",
        ] {
            assert!(is_meant(text), "{text}");
        }
        for text in [
            "status > 503",
            "status < 503",
            "user starts with bob",
            "user not starts with 'ada'",
            "cost > 1.5",
            "cost < 1.5",
            "bytes = 0",
            "bytes >= -1",
            "bytes is present",
            "flags set cached, secure",
            "secure",
            "cached = false",
            "status = -1",
            "status > 18446744073709551615",
            "status < 0",
            "status in (-1)",
            "time < 2015-05-17",
        ] {
            assert!(!is_meant(text), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_pointed_at() {
        for (text, said, marked) in [
            ("stauts = 1", "did you mean `status`", "stauts"),
            ("nothing = 1", "there are time, user", "nothing"),
            ("status = ", "a value", ""),
            ("status = abc", "takes a whole number", "abc"),
            ("status = 1.5", "takes a whole number", "1.5"),
            ("cost = x", "takes a number", "x"),
            ("time > soon", "`soon` is no time", "soon"),
            ("status", "one of these", ""),
            ("status 5", "one of these", "5"),
            ("status = 5 user = ada", "`and` or `or`", "user"),
            ("(status = 5", "not closed", "("),
            ("(status = 5 x", "not closed", "x"),
            ("status in 5", "a list", "5"),
            ("status in (5", "a comma", ""),
            ("status starts with 5", "no string", "with"),
            ("user starts ada", "`with`", "ada"),
            ("user is here", "`absent` or `present`", "here"),
            ("flags set gone", "there are secure, cached", "gone"),
            ("status set cached", "has no flags", "set"),
            ("flags = cached", "flags set secure", "cached"),
            ("secure > true", "true or false", ">"),
            ("and", "no field", "and"),
            ("", "the name of a field", ""),
        ] {
            let wrong = parse(text).unwrap_err();
            assert!(wrong.what.contains(said), "{text}: {wrong:?}");
            assert_eq!(&text[wrong.at], marked, "{text}");
        }
        let deep = "(".repeat(100_000);
        assert!(parse(&deep).unwrap_err().what.contains("too many brackets"));
        assert!(parse(&"not ".repeat(100_000)).is_err());
        let wide = vec!["status = 1"; 5_000].join(" or ");
        assert!(parse(&wide).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(
            text in ".*",
            known in "((status|user|cost|time|flags|secure|not|and|or|in|is|set|starts with|absent|=|>=|<|\\(|\\)|,|'|\"|1|-1h|x) ?){0,12}",
        ) {
            for text in [text, known] {
                if let Err(wrong) = parse(&text) {
                    let _ = wrong.pointed(&text);
                    prop_assert!(wrong.at.start <= wrong.at.end && wrong.at.end <= text.len());
                }
            }
        }
    }
}
