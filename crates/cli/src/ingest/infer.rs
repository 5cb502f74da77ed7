//! A schema from what lines say.
//!
//! What a field is for is guessed from its name and its values, and shown, so that it can be put right: the guess has to
//! be good, not perfect.

use super::{
    Cell, Format, Given, field_name,
    fill::{fraction, time, told_bool, whole},
};
use annals::columns::{DIMENSIONS_MAX, Dimension, FLAGS_MAX, LABELS_MAX, Role, Schema};
use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

/// Counters as large as this are kept in 64 bits: what comes later may be some times larger.
const COUNTER_U32_BELOW: i128 = 1 << 28;
/// Longer strings are no names that events are grouped by.
const DIMENSION_BYTES_MAX: usize = 256;
/// So few different strings are a dimension, however few lines there were.
const FEW_VALUES: usize = 20;
/// More different values are not told apart.
const DISTINCT_MAX: usize = 1 << 16;

/// A field named as a time is one if all but one in so many values are.
const NEARLY_ALL: u64 = 20;
/// So many values that are no times are looked at, however few there were before.
const NO_TIMES_MAX: u64 = 20;
/// The field in which exports list the flags of an event.
const FLAGS_NAME: &str = "flags";

const TIME_NAMES: [&str; 14] = [
    "ts",
    "time",
    "timestamp",
    "date",
    "datetime",
    "at",
    "when",
    "created",
    "created_at",
    "t",
    "event_time",
    "eventtime",
    "time_local",
    "_time",
];
const ID_NAMES: [&str; 7] = ["id", "_id", "uuid", "guid", "event_id", "request_id", "span_id"];
const STATUS_NAMES: [&str; 7] = [
    "status",
    "status_code",
    "statuscode",
    "http_status",
    "response_code",
    "http.status_code",
    "response.status",
];
const LATENCY_NAMES: [&str; 8] = [
    "latency",
    "latency_ms",
    "duration_ms",
    "elapsed_ms",
    "took_ms",
    "response_time_ms",
    "request_time_ms",
    "time_ms",
];

/// What is known of a schema so far.
#[derive(Debug)]
pub(crate) struct Inferred {
    pub(crate) schema: Schema,
    /// What whoever reads the schema should know.
    pub(crate) notes: Vec<String>,
}

/// What was seen of one name.
#[derive(Debug)]
struct Seen {
    count: u64,
    distinct: HashSet<u64>,
    bytes_max: usize,
    /// How many are times, and how many are not.
    times_count: u64,
    no_times_count: u64,
    /// Whether all values are lists of names, and those.
    lists: bool,
    listed: Vec<String>,
    /// Whether all values are such.
    bools: bool,
    wholes: bool,
    fractions: bool,
    /// Whether none is a string in a format that has types.
    untyped: bool,
    min: i128,
    max: i128,
}

/// What lines say, one after the other.
#[derive(Debug)]
pub(crate) struct Inference {
    format: Format,
    lines_count: u64,
    /// In the order in which they came.
    names: Vec<String>,
    seen: HashMap<String, Seen>,
}

impl Inference {
    pub(crate) fn new(format: Format) -> Self {
        let mut inference =
            Self { format, lines_count: 0, names: Vec::new(), seen: HashMap::new() };
        for name in format.usual_fields() {
            inference.seen_of(name);
        }
        inference
    }

    fn seen_of(&mut self, name: &str) -> &mut Seen {
        if !self.seen.contains_key(name) {
            self.names.push(name.to_owned());
        }
        self.seen.entry(name.to_owned()).or_default()
    }

    /// Looks at what a line says.
    pub(crate) fn add(&mut self, cells: &[Cell<'_>]) {
        self.lines_count += 1;
        for cell in cells {
            self.seen_of(&field_name(&cell.name)).add(&cell.value);
        }
    }

    /// How many lines there were.
    pub(crate) fn lines_count(&self) -> u64 {
        self.lines_count
    }

    /// The schema of events on these lines.
    pub(crate) fn schema(mut self) -> Result<Inferred, String> {
        let is_usual = |name: &str| self.format.usual_fields().contains(&name);
        self.names.retain(|name| self.seen[name].count > 0 || is_usual(name));
        let (format, lines_count) = (self.format, self.lines_count);
        Choice { format, lines_count, seen: &self.seen, notes: Vec::new() }.make(&self.names)
    }
}

impl Default for Seen {
    /// All that can be, until a value says otherwise.
    fn default() -> Self {
        Self {
            count: 0,
            distinct: HashSet::new(),
            bytes_max: 0,
            times_count: 0,
            no_times_count: 0,
            lists: true,
            listed: Vec::new(),
            bools: true,
            wholes: true,
            fractions: true,
            untyped: true,
            min: i128::MAX,
            max: i128::MIN,
        }
    }
}

impl Seen {
    fn add(&mut self, value: &Given<'_>) {
        let bytes: &[u8] = match value {
            Given::Nothing => return,
            Given::Loose(bytes) if bytes.is_empty() => return,
            Given::Text(bytes) | Given::Loose(bytes) => bytes,
            Given::Json(json) | Given::Number(json) => json.as_bytes(),
            _ => &[],
        };
        self.count += 1;
        self.bytes_max = self.bytes_max.max(bytes.len());
        if self.distinct.len() < DISTINCT_MAX {
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            match value {
                Given::U64(number) => number.hash(&mut hasher),
                Given::I64(number) => number.hash(&mut hasher),
                Given::Bool(is_set) => is_set.hash(&mut hasher),
                _ => {}
            }
            self.distinct.insert(hasher.finish());
        }
        // Once something is told, it need not be looked for any more.
        if self.no_times_count <= NO_TIMES_MAX || self.no_times_count * NEARLY_ALL <= self.count {
            match time(value) {
                Some(_) => self.times_count += 1,
                None => self.no_times_count += 1,
            }
        }
        self.lists = self.lists && self.list(value);
        self.bools = self.bools && told_bool(value).is_some();
        let is_number = match value {
            Given::U64(_) | Given::I64(_) | Given::Number(_) => true,
            Given::Loose(bytes) => is_plain_number(bytes),
            _ => false,
        };
        self.untyped &= !matches!(value, Given::Text(_) | Given::Json(_));
        self.fractions = self.fractions && is_number && fraction(value).is_some();
        let number = if self.wholes && is_number { bounded(value) } else { None };
        self.wholes = number.is_some();
        if let Some(number) = number {
            (self.min, self.max) = (self.min.min(number), self.max.max(number));
        }
    }
}

impl Seen {
    /// Whether a value is a list of names that flags may have; notes them.
    fn list(&mut self, value: &Given<'_>) -> bool {
        let Given::Json(json) = value else { return false };
        let Ok(names) = serde_json::from_str::<Vec<String>>(json) else { return false };
        for name in names {
            if !self.listed.contains(&name) {
                if self.listed.len() >= FLAGS_MAX || field_name(&name) != name {
                    return false;
                }
                self.listed.push(name);
            }
        }
        true
    }
}

/// The whole number that a value is; one of more digits than that has counts as the highest or the lowest.
fn bounded(value: &Given<'_>) -> Option<i128> {
    let digits = match value {
        Given::Number(digits) => digits.as_bytes(),
        Given::Loose(bytes) => bytes.trim_ascii(),
        _ => b"",
    };
    whole(value).or_else(|| {
        let (is_below, digits) = match digits.strip_prefix(b"-") {
            Some(digits) => (true, digits),
            None => (false, digits),
        };
        let is_whole = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        is_whole.then_some(if is_below { i128::MIN } else { i128::MAX })
    })
}

/// Whether bytes are written as numbers are: with a zero in front they are a code, such as that of a place.
fn is_plain_number(bytes: &[u8]) -> bool {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let is_padded = digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit();
    digits.first().is_some_and(u8::is_ascii_digit) && !is_padded
}

/// Choosing roles, one name after the other.
struct Choice<'s> {
    format: Format,
    lines_count: u64,
    seen: &'s HashMap<String, Seen>,
    notes: Vec<String>,
}

impl Choice<'_> {
    fn make(mut self, names: &[String]) -> Result<Inferred, String> {
        let (lines_count, all_seen) = (self.lines_count, self.seen);
        let lower = |name: &String| name.to_ascii_lowercase();
        let of_names = |wanted: &[&str], fits: &dyn Fn(&Seen) -> bool| {
            let fitting = |name: &&String| {
                let last = lower(name);
                let last = last.rsplit('.').next().unwrap_or_default().to_owned();
                (wanted.contains(&lower(name).as_str()) || wanted.contains(&last.as_str()))
                    && fits(&all_seen[*name])
            };
            names.iter().find(fitting).cloned()
        };
        let is_always = |seen: &Seen| seen.count == lines_count;
        let is_time = |seen: &Seen| seen.times_count == lines_count && lines_count > 0;
        let is_nearly = |seen: &Seen| {
            (lines_count - seen.times_count.min(lines_count)) * NEARLY_ALL <= lines_count
                && seen.times_count > 0
        };
        // By its name, where a few bad lines do not make all events timeless; or else the first that is written as a time.
        let named = of_names(&TIME_NAMES, &is_time).or_else(|| of_names(&TIME_NAMES, &is_nearly));
        let ts = named.or_else(|| {
            let fits = |name: &&String| {
                let seen = &all_seen[*name];
                is_time(seen) && !seen.fractions
            };
            names.iter().find(fits).cloned()
        });
        if let Some(name) = &ts {
            let others = lines_count - all_seen[name].times_count.min(lines_count);
            if others > 0 {
                self.notes.push(format!(
                    "`{name}` is no time on {others} of the {lines_count} lines that were looked at: such lines are not taken"
                ));
            }
        }
        let is_unique = |seen: &Seen| seen.distinct.len() as u64 == seen.count && is_always(seen);
        let is_id = |seen: &Seen| is_unique(seen) && (seen.wholes || !seen.fractions);
        let id = of_names(&ID_NAMES, &is_id).filter(|id| Some(id) != ts.as_ref());
        let is_status = |seen: &Seen| seen.wholes && seen.min >= 100 && seen.max < 600;
        let status = of_names(&STATUS_NAMES, &is_status);
        let is_latency = |seen: &Seen| seen.wholes && seen.min >= 0 && seen.max < COUNTER_U32_BELOW;
        let latency = of_names(&LATENCY_NAMES, &is_latency);
        let mut chosen: Vec<(String, Role, bool)> = Vec::new();
        let mut flags = self.listed();
        let has_list = !flags.is_empty();
        let mut has_metric = false;
        for name in names {
            let seen = &all_seen[name];
            if has_list && name == FLAGS_NAME {
                continue;
            }
            if let Some((role, is_optional)) = self.format.role_of(name) {
                chosen.push((name.clone(), role, is_optional));
                continue;
            }
            let is = |other: &Option<String>| other.as_ref() == Some(name);
            let role = if is(&ts) {
                Role::Ts
            } else if is(&id) {
                Role::Id
            } else if is(&status) {
                Role::Status
            } else if is(&latency) {
                Role::Latency
            } else if seen.wholes && seen.min >= 0 {
                match seen.max < COUNTER_U32_BELOW {
                    true => Role::CounterU32,
                    false if seen.max <= u64::MAX.into() => Role::CounterU64,
                    false => self.string(name, "a number beyond 64 bits"),
                }
            } else if seen.fractions && has_metric {
                self.string(name, "a second metric")
            } else if seen.wholes
                && i64::try_from(seen.min).is_ok()
                && i64::try_from(seen.max).is_ok()
            {
                has_metric = true;
                Role::MetricI64
            } else if seen.wholes {
                self.string(name, "a number beyond 64 bits")
            } else if seen.fractions {
                has_metric = true;
                Role::MetricF64
            } else if seen.bools && seen.untyped && flags.len() < FLAGS_MAX {
                flags.push(name.clone());
                continue;
            } else {
                self.text(seen)
            };
            let is_optional = role != Role::Ts && !is_always(seen);
            chosen.push((name.clone(), role, is_optional));
        }
        self.add_flags(&mut chosen, flags, has_list);
        self.fit(&mut chosen);
        let ts_first = |(_, role, _): &(String, Role, bool)| *role != Role::Ts;
        chosen.sort_by_key(ts_first);
        let mut builder = Schema::builder(1);
        for (name, role, is_optional) in chosen {
            builder = match is_optional {
                false => builder.with(&name, role),
                true => builder.with_optional(&name, role),
            };
        }
        let schema = builder.build().map_err(|error| error.to_string())?;
        if schema.ts().is_none() {
            self.notes.push("no field is a time on all lines: events have none".to_owned());
        }
        Ok(Inferred { schema, notes: self.notes })
    }

    /// What cannot be kept as the number it is.
    fn string(&mut self, name: &str, why: &str) -> Role {
        self.notes.push(format!("`{name}` is {why}: it is kept as text"));
        Role::Label
    }

    /// What strings are for.
    fn text(&self, seen: &Seen) -> Role {
        let distinct = seen.distinct.len() as u64;
        let repeats = distinct * 2 <= seen.count || distinct <= FEW_VALUES as u64;
        match repeats && seen.bytes_max <= DIMENSION_BYTES_MAX {
            true => Role::Dimension(Dimension::Plain),
            false => Role::Label,
        }
    }

    /// The flags that exports list by their names.
    fn listed(&self) -> Vec<String> {
        let seen =
            self.seen.get(FLAGS_NAME).filter(|seen| seen.lists && self.format == Format::Ndjson);
        let is_other = |name: &String| self.seen.contains_key(name);
        let listed = seen.map(|seen| seen.listed.clone()).unwrap_or_default();
        if listed.iter().any(is_other) { Vec::new() } else { listed }
    }

    /// What is true or false becomes bits of one field.
    fn add_flags(
        &self,
        chosen: &mut Vec<(String, Role, bool)>,
        flags: Vec<String>,
        has_list: bool,
    ) {
        if flags.is_empty() {
            return;
        }
        let mut name = FLAGS_NAME.to_owned();
        while !has_list && self.seen.contains_key(&name) {
            name.push('_');
        }
        chosen.push((name, Role::Flags(flags), false));
    }

    /// Sees to it that there are no more fields than a schema has, and that one dimension is found quickly.
    fn fit(&mut self, chosen: &mut Vec<(String, Role, bool)>) {
        let is_dimension = |role: &Role| matches!(role, Role::Dimension(_));
        let (mut dimensions, mut labels, mut counters) = (0, 0, 0);
        let mut left_out = Vec::new();
        chosen.retain_mut(|(name, role, _)| {
            if is_dimension(role) {
                dimensions += 1;
                if dimensions > DIMENSIONS_MAX {
                    *role = Role::Label;
                }
            }
            if matches!(role, Role::CounterU32 | Role::CounterU64) {
                counters += 1;
                if counters > annals::columns::COUNTERS_MAX {
                    *role = Role::Label;
                }
            }
            labels += usize::from(*role == Role::Label);
            let fits = *role != Role::Label || labels <= LABELS_MAX;
            if !fits {
                left_out.push(format!("`{name}` is left out: there are too many fields"));
            }
            fits
        });
        self.notes.extend(left_out);
        let has_bloom = |(_, role, _): &(String, Role, bool)| matches!(role, Role::Dimension(kind) if kind.has_bloom());
        if chosen.iter().any(has_bloom) {
            return;
        }
        let distinct = |name: &str| self.seen.get(name).map_or(0, |seen| seen.distinct.len());
        let of_most = chosen
            .iter_mut()
            .filter(|(_, role, _)| is_dimension(role))
            .max_by_key(|(name, ..)| distinct(name));
        if let Some((name, role, _)) = of_most
            && distinct(name) > FEW_VALUES
        {
            *role = Role::Dimension(Dimension::Bloom);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Parser;

    fn shown(format: Format, lines: &str) -> (String, Vec<String>) {
        let mut all = lines.lines();
        let heading = if format == Format::Csv { all.next().unwrap() } else { "" };
        let mut inference = Inference::new(format);
        for line in all {
            let mut parser = Parser::new(format, heading.as_bytes(), i64::MAX).unwrap();
            inference.add(&parser.parse(line.as_bytes()).unwrap());
        }
        let inferred = inference.schema().unwrap();
        let fields: Vec<String> =
            inferred.schema.fields().iter().map(ToString::to_string).collect();
        (fields.join("; "), inferred.notes)
    }

    #[test]
    fn objects_have_their_roles() {
        let lines: Vec<String> = (0..50)
            .map(|n| {
                let extra = if n == 7 { "" } else { ",\"note\":\"n\",\"zip\":\"007\"" };
                format!(
                    r#"{{"@timestamp":"2015-05-17T10:00:{n:02}Z","id":"e{n}","user":"u{}","status":{},"bytes":{},"total":{},"cost":{}.5,"latency_ms":{n},"ok":true,"msg":"all different {n}","tags":[1]{extra}}}"#,
                    n % 25,
                    200 + n,
                    n * 1000,
                    n * 10_000_000_000u64,
                    n % 3,
                )
            })
            .collect();
        let (fields, notes) = shown(Format::Ndjson, &lines.join("\n"));
        assert_eq!(
            fields,
            "timestamp: ts; id: id; user: dimension (bloom); status: status; bytes: counter u32; \
             total: counter u64; cost: metric f64; latency_ms: latency; msg: label; \
             tags: dimension; note: dimension, optional; zip: dimension, optional; flags: flags (ok)"
        );
        assert_eq!(notes, Vec::<String>::new());
    }

    #[test]
    fn columns_have_their_roles() {
        let (fields, notes) = shown(
            Format::Csv,
            "when,zip,delta,share,empty,code\n\
             2015-05-17 10:00:00,01234,-5,0.5,,17\n\
             2015-05-17 10:00:01,01235,5,1.5,x,17",
        );
        assert_eq!(
            fields,
            "when: ts; zip: dimension; delta: metric i64; share: label; empty: dimension, optional; \
             code: counter u32"
        );
        assert_eq!(notes, ["`share` is a second metric: it is kept as text"]);
        let (fields, notes) = shown(Format::Csv, "a,b\nx,1");
        assert_eq!(fields, "a: dimension; b: counter u32");
        assert!(notes[0].contains("no field is a time"), "{notes:?}");
    }

    #[test]
    fn a_bad_line_leaves_the_time_a_time() {
        let line = |n: u32, time: &str| {
            format!("{{\"time\":{time},\"n\":{n},\"late\":\"2015-05-17T10:05:03Z\"}}\n")
        };
        let of = |bad: u32| {
            let lines = (0..100).map(|n| line(n, if n < bad { "\"oops\"" } else { "1431857103" }));
            shown(Format::Ndjson, &lines.collect::<String>())
        };
        let (fields, notes) = of(5);
        assert!(fields.starts_with("time: ts; "), "{fields}");
        assert!(notes[0].starts_with("`time` is no time on 5 of the 100 lines"), "{notes:?}");
        assert!(of(6).0.starts_with("late: ts; "), "{}", of(6).0);
    }

    #[test]
    fn listed_flags_are_flags() {
        let (fields, _) = shown(
            Format::Ndjson,
            "{\"flags\":[],\"ok\":true}\n{\"flags\":[\"even\",\"hot\"],\"ok\":false}",
        );
        assert_eq!(fields, "flags: flags (even, hot, ok)");
        for other in ["[1]", "\"even\"", "[\"a b\"]", "[\"n\"]"] {
            let (fields, _) = shown(Format::Ndjson, &format!("{{\"n\":1,\"flags\":{other}}}"));
            assert!(fields.ends_with("flags: dimension"), "{fields}");
        }
    }

    #[test]
    fn numbers_that_no_field_holds_stay_as_they_are_written() {
        let large = "9".repeat(60);
        let lines = format!("{{\"a\":{large},\"b\":-{large},\"id\":1{large}}}\n");
        let (fields, notes) = shown(Format::Ndjson, &lines);
        assert_eq!(fields, "a: label; b: label; id: id");
        assert!(notes[0].contains("`a` is a number beyond 64 bits"), "{notes:?}");
        assert_eq!(shown(Format::Csv, &format!("a,b\n{large},-{large}")).0, "a: label; b: label");
    }

    #[test]
    fn a_format_says_what_its_fields_are() {
        let line = r#"::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "curl""#;
        let (fields, _) = shown(Format::Combined, line);
        assert_eq!(
            fields,
            "time: ts; client: dimension (bloom); user: dimension, optional; method: dimension, optional; \
             path: dimension; protocol: dimension, optional; status: status; bytes: counter u64, optional; \
             referer: dimension, optional; agent: dimension, optional"
        );
    }

    #[test]
    fn no_more_fields_come_of_it_than_there_may_be() {
        let many = |value: &dyn Fn(usize) -> String| {
            let fields: Vec<String> = (0..400).map(|n| format!("\"f{n}\":{}", value(n))).collect();
            format!("{{{}}}", fields.join(","))
        };
        for value in [
            &(|n: usize| n.to_string()) as &dyn Fn(usize) -> String,
            &|n: usize| format!("\"{n}\""),
            &|_| "true".to_owned(),
            &|n: usize| format!("-{n}.5"),
        ] {
            let (_, notes) = shown(Format::Ndjson, &many(value));
            assert!(!notes.is_empty());
        }
    }
}
