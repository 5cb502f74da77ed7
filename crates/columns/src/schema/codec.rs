//! The bytes of a schema (docs/formats/batch.md).

use super::{Dimension, Field, Role, Schema, SchemaBuilder};
use crate::{
    Error, Result,
    number::{put_bytes, put_varint, take_bytes, take_u8, take_varint},
};

/// The version of these bytes.
const VERSION: u8 = 1;
/// In the byte behind a field's tag.
const OPTIONAL: u8 = 1;
const BLOOM: u8 = 2;
const ROLLUP: u8 = 4;
/// More fields than any schema has: nothing more is read.
const FIELDS_MAX: u64 = 1_024;

const TS: u8 = 1;
const METRIC_I64: u8 = 2;
const METRIC_F64: u8 = 3;
const COUNTER_U32: u8 = 4;
const COUNTER_U64: u8 = 5;
const LATENCY: u8 = 6;
const LATENCY_DETAIL: u8 = 7;
const STATUS: u8 = 8;
const FLAGS: u8 = 9;
const DIMENSION: u8 = 10;
const LABEL: u8 = 11;
const ID: u8 = 12;

pub(super) fn fingerprint(id: u32, fields: &[Field]) -> u64 {
    twox_hash::XxHash3_64::oneshot(&encode(id, fields))
}

fn encode(id: u32, fields: &[Field]) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_varint(id.into(), &mut out);
    put_varint(fields.len() as u64, &mut out);
    for field in fields {
        let mut bits = if field.is_optional { OPTIONAL } else { 0 };
        let tag = match &field.role {
            Role::Ts => TS,
            Role::MetricI64 => METRIC_I64,
            Role::MetricF64 => METRIC_F64,
            Role::CounterU32 => COUNTER_U32,
            Role::CounterU64 => COUNTER_U64,
            Role::Latency => LATENCY,
            Role::LatencyDetail => LATENCY_DETAIL,
            Role::Status => STATUS,
            Role::Flags(_) => FLAGS,
            Role::Dimension(kind) => {
                bits |= if kind.has_bloom() { BLOOM } else { 0 };
                bits |= if kind.has_rollup() { ROLLUP } else { 0 };
                DIMENSION
            }
            Role::Label => LABEL,
            Role::Id => ID,
        };
        out.extend([tag, bits]);
        put_bytes(field.name.as_bytes(), &mut out);
        if let Role::Flags(names) = &field.role {
            put_varint(names.len() as u64, &mut out);
            names.iter().for_each(|name| put_bytes(name.as_bytes(), &mut out));
        }
    }
    out
}

impl Schema {
    /// The schema as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self.id, &self.fields)
    }

    /// A schema from its bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Version`], or [`Error::Schema`] if the bytes say what cannot be.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes;
        let malformed = |rest: &[u8], what| Error::Malformed {
            kind: "schema",
            what,
            offset: (bytes.len() - rest.len()) as u64,
        };
        match take_u8(&mut rest) {
            Some(VERSION) => {}
            Some(found) => {
                let (found, expected) = (found.into(), VERSION.into());
                return Err(Error::Version { kind: "schema", found, expected });
            }
            None => return Err(malformed(rest, "there is nothing")),
        }
        let builder = take_fields(&mut rest).map_err(|what| malformed(rest, what))?;
        if !rest.is_empty() {
            return Err(malformed(rest, "something follows it"));
        }
        builder.build()
    }
}

fn take_fields(rest: &mut &[u8]) -> Result<SchemaBuilder, &'static str> {
    const CUT: &str = "it is cut off";
    let id = take_varint(rest).ok_or(CUT)?;
    let id = u32::try_from(id).map_err(|_| "the id is too large")?;
    let count = take_varint(rest).ok_or(CUT)?;
    if count > FIELDS_MAX {
        return Err("there are too many fields");
    }
    let mut builder = SchemaBuilder::new(id);
    for _ in 0..count {
        let (tag, bits) = (take_u8(rest).ok_or(CUT)?, take_u8(rest).ok_or(CUT)?);
        let name = take_name(rest)?;
        let known = if tag == DIMENSION { OPTIONAL | BLOOM | ROLLUP } else { OPTIONAL };
        if bits & !known != 0 {
            return Err("a field has bits of a later format");
        }
        let role = match tag {
            TS => Role::Ts,
            METRIC_I64 => Role::MetricI64,
            METRIC_F64 => Role::MetricF64,
            COUNTER_U32 => Role::CounterU32,
            COUNTER_U64 => Role::CounterU64,
            LATENCY => Role::Latency,
            LATENCY_DETAIL => Role::LatencyDetail,
            STATUS => Role::Status,
            FLAGS => Role::Flags(take_flags(rest)?),
            DIMENSION => Role::Dimension(match (bits & BLOOM != 0, bits & ROLLUP != 0) {
                (false, false) => Dimension::Plain,
                (true, false) => Dimension::Bloom,
                (false, true) => Dimension::Rollup,
                (true, true) => Dimension::BloomRollup,
            }),
            LABEL => Role::Label,
            ID => Role::Id,
            _ => return Err("a field has a role of a later format"),
        };
        builder = builder.add(name, role, bits & OPTIONAL != 0);
    }
    Ok(builder)
}

fn take_name<'a>(rest: &mut &'a [u8]) -> Result<&'a str, &'static str> {
    let name = take_bytes(rest).ok_or("it is cut off")?;
    str::from_utf8(name).map_err(|_| "a name is not UTF-8")
}

fn take_flags(rest: &mut &[u8]) -> Result<Vec<String>, &'static str> {
    let count = take_varint(rest).ok_or("it is cut off")?;
    if count > super::FLAGS_MAX as u64 {
        return Err("there are too many flags");
    }
    (0..count).map(|_| take_name(rest).map(str::to_owned)).collect()
}
