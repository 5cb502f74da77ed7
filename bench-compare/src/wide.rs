//! Wide events, each derived from its number: what a gateway to language models would keep of its requests.
//!
//! The events of a table are spread evenly over thirty days, whatever their number, one after the other.

use std::fmt::Write;

use crate::data::mix;

/// A day.
pub(crate) const DAY_NS: i64 = 86_400_000_000_000;
/// Days that the events of a table are spread over.
pub(crate) const DAYS: i64 = 30;
/// When the first day begins: midnight, UTC.
pub(crate) const START_NS: i64 = 20_775 * DAY_NS;

/// How many users there are.
pub(crate) const USERS: u64 = 1_000;
/// How many models there are.
pub(crate) const MODELS: u64 = 20;
const TEAMS: u64 = 200;
const REGIONS: u64 = 6;
const TIERS: u64 = 10;
const CLIENTS: u64 = 5;
const PATHS: u64 = 500;
const SESSIONS: u64 = 50_000;
const STATUSES: [u16; 15] =
    [200, 200, 200, 200, 200, 200, 200, 200, 200, 201, 400, 404, 429, 500, 503];

/// Whether events have the fields of which figures of another store for such events were published: five dimensions, five
/// counters and three labels. What they hold is the same: a latency counts as a counter, and a dimension as a label.
pub(crate) const PUBLISHED_SHAPE: bool = cfg!(feature = "published-shape");
/// How many counters, latencies, dimensions and labels events have, as pages tell it.
pub(crate) const SHAPE: &str = if PUBLISHED_SHAPE {
    "5 counters, a latency, a status, 5 dimensions of 1,000, 200, 20, 6 and 10 values, 3 labels"
} else {
    "4 counters, 2 latencies, a status, 6 dimensions of 1,000, 200, 20, 6, 10 and 5 values, 2 labels"
};

/// An event as the caller of a store has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "annals", derive(annals::Schema), schema(schema_id = 1))]
pub(crate) struct Wide {
    #[cfg_attr(feature = "annals", ts)]
    pub(crate) at: i64,
    #[cfg_attr(feature = "annals", metric)]
    pub(crate) cost: i64,
    #[cfg_attr(feature = "annals", counter)]
    pub(crate) input: u32,
    #[cfg_attr(feature = "annals", counter)]
    pub(crate) output: u32,
    #[cfg_attr(feature = "annals", counter)]
    pub(crate) cached: u32,
    #[cfg_attr(feature = "annals", counter)]
    pub(crate) reasoning: u32,
    #[cfg_attr(feature = "annals", latency)]
    pub(crate) latency: u32,
    #[cfg_attr(all(feature = "annals", not(feature = "published-shape")), latency(detail))]
    #[cfg_attr(all(feature = "annals", feature = "published-shape"), counter)]
    pub(crate) first: u32,
    #[cfg_attr(feature = "annals", status)]
    pub(crate) status: u16,
    #[cfg_attr(feature = "annals", dim(bloom, rollup))]
    pub(crate) user: String,
    #[cfg_attr(feature = "annals", dim)]
    pub(crate) team: String,
    #[cfg_attr(feature = "annals", dim(rollup))]
    pub(crate) model: String,
    #[cfg_attr(feature = "annals", dim)]
    pub(crate) region: String,
    #[cfg_attr(feature = "annals", dim)]
    pub(crate) tier: String,
    #[cfg_attr(all(feature = "annals", not(feature = "published-shape")), dim)]
    #[cfg_attr(all(feature = "annals", feature = "published-shape"), label)]
    pub(crate) client: String,
    #[cfg_attr(feature = "annals", label)]
    pub(crate) path: String,
    #[cfg_attr(feature = "annals", label)]
    pub(crate) session: String,
    #[cfg_attr(feature = "annals", id)]
    pub(crate) id: String,
}

/// An event whose texts are numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coded {
    pub(crate) at: i64,
    pub(crate) cost: i64,
    pub(crate) counters: [u32; 4],
    pub(crate) latency: u32,
    pub(crate) first: u32,
    pub(crate) status: u16,
    pub(crate) user: u16,
    pub(crate) team: u16,
    pub(crate) model: u16,
    pub(crate) region: u16,
    pub(crate) tier: u16,
    pub(crate) client: u16,
    pub(crate) path: u16,
    pub(crate) session: u32,
    pub(crate) id: u64,
}

/// Few large and many small numbers below `limit`.
fn skewed(random: u64, limit: u64) -> u64 {
    let share = (random >> 11) as f64 / (1u64 << 53) as f64;
    (share * share * share * limit as f64) as u64
}

/// The time between two of `total` events, but for what is random.
fn gap_ns(total: u64) -> u64 {
    (DAYS * DAY_NS) as u64 / total
}

impl Coded {
    /// The event of that number, of `total`. A later one has a later time.
    pub(crate) fn of(number: u64, total: u64) -> Self {
        let mut drawn = 0;
        let mut next = || {
            drawn += 1;
            mix(number << 8 | drawn)
        };
        let gap = gap_ns(total);
        Self {
            at: START_NS + (number * gap + next() % gap) as i64,
            cost: skewed(next(), 2_000_000) as i64,
            counters: [8_000, 2_000, 4_000, 500].map(|limit| skewed(next(), limit) as u32),
            latency: 20 + skewed(next(), 30_000) as u32,
            first: skewed(next(), 2_000) as u32,
            status: STATUSES[(next() % STATUSES.len() as u64) as usize],
            user: skewed(next(), USERS) as u16,
            team: (next() % TEAMS) as u16,
            model: (next() % MODELS) as u16,
            region: (next() % REGIONS) as u16,
            tier: (next() % TIERS) as u16,
            client: (next() % CLIENTS) as u16,
            path: (next() % PATHS) as u16,
            session: (next() % SESSIONS) as u32,
            id: mix(number << 8),
        }
    }

    /// All events of a table of `total`.
    pub(crate) fn all(total: u64) -> Vec<Self> {
        (0..total).map(|number| Self::of(number, total)).collect()
    }

    /// The day, counted from 1970 on.
    pub(crate) fn day(&self) -> i64 {
        self.at.div_euclid(DAY_NS)
    }
}

/// The name of a user.
pub(crate) fn user(number: u64) -> String {
    format!("user-{number:06}")
}

/// The name of a model.
pub(crate) fn model(number: u64) -> String {
    format!("model-{number:03}")
}

/// The id of an event.
pub(crate) fn id(number: u64) -> String {
    format!("evt_{:016x}", mix(number << 8))
}

impl Wide {
    /// The event of that number, of `total`.
    pub(crate) fn of(number: u64, total: u64) -> Self {
        let mut event = Self::default();
        event.become_coded(&Coded::of(number, total));
        event
    }

    /// Becomes that event, without new strings.
    pub(crate) fn become_coded(&mut self, coded: &Coded) {
        self.at = coded.at;
        self.cost = coded.cost;
        [self.input, self.output, self.cached, self.reasoning] = coded.counters;
        self.latency = coded.latency;
        self.first = coded.first;
        self.status = coded.status;
        let write = |text: &mut String, given: std::fmt::Arguments<'_>| {
            text.clear();
            // Writing to a string does not fail.
            let _ = text.write_fmt(given);
        };
        write(&mut self.user, format_args!("user-{:06}", coded.user));
        write(&mut self.team, format_args!("team-{:03}", coded.team));
        write(&mut self.model, format_args!("model-{:03}", coded.model));
        write(&mut self.region, format_args!("region-{:03}", coded.region));
        write(&mut self.tier, format_args!("tier-{:03}", coded.tier));
        write(&mut self.client, format_args!("client-{:03}", coded.client));
        write(&mut self.path, format_args!("/v1/projects/{}/runs", coded.path));
        write(&mut self.session, format_args!("session-{:08x}", coded.session));
        write(&mut self.id, format_args!("evt_{:016x}", coded.id));
    }

    /// The numbers, in the order of the fields.
    pub(crate) fn numbers(&self) -> [i64; 9] {
        [
            self.at,
            self.cost,
            self.input.into(),
            self.output.into(),
            self.cached.into(),
            self.reasoning.into(),
            self.latency.into(),
            self.first.into(),
            self.status.into(),
        ]
    }

    /// The texts, in the order of the fields, which is after the numbers.
    pub(crate) fn texts(&self) -> [&str; 9] {
        [
            &self.user,
            &self.team,
            &self.model,
            &self.region,
            &self.tier,
            &self.client,
            &self.path,
            &self.session,
            &self.id,
        ]
    }

    /// What a reader of all fields adds up.
    pub(crate) fn digest(&self) -> Digest {
        let mut digest = Digest::default();
        self.numbers().iter().for_each(|number| digest.number(*number));
        self.texts().iter().for_each(|text| digest.text(text));
        digest
    }
}

/// What the fields of an event add up to, in their order: shows that each was read, at next to no cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest {
    sum: u64,
    fields: u64,
}

impl Digest {
    /// Adds the next field, a number.
    #[inline]
    pub(crate) fn number(&mut self, number: i64) {
        self.fields += 1;
        self.sum = self.sum.wrapping_add((number as u64).wrapping_mul(self.fields));
    }

    /// Adds the next field, a text: its length and its last eight bytes.
    #[inline]
    pub(crate) fn text(&mut self, text: &str) {
        let last = text.as_bytes().last_chunk::<8>().map_or(0, |last| u64::from_le_bytes(*last));
        self.number((last ^ text.len() as u64) as i64);
    }

    /// The sum.
    pub(crate) fn sum(self) -> u64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_ascend_and_stay_within_the_days() {
        let total = 10_000;
        let times: Vec<_> = (0..total).map(|number| Coded::of(number, total).at).collect();
        assert!(times.is_sorted());
        assert!(times[0] >= START_NS && times[9_999] < START_NS + DAYS * DAY_NS);
        assert_eq!(START_NS % DAY_NS, 0);
    }

    #[test]
    fn a_digest_tells_swapped_and_changed_fields() {
        let event = Wide::of(7, 100);
        assert_eq!(event.digest(), Wide::of(7, 100).digest());
        let mut swapped = event.clone();
        std::mem::swap(&mut swapped.tier, &mut swapped.region);
        assert_ne!(swapped.digest(), event.digest());
        let mut changed = event.clone();
        changed.reasoning += 1;
        assert_ne!(changed.digest(), event.digest());
        assert_eq!(event.id, id(7));
    }
}
