use super::*;
use crate::{Error, Result};
use std::sync::Arc;

fn wide() -> SchemaBuilder {
    Schema::builder(3)
        .with("at", Role::Ts)
        .with("cost", Role::MetricI64)
        .with("tokens", Role::CounterU32)
        .with_optional("bytes", Role::CounterU64)
        .with("latency", Role::Latency)
        .with("first", Role::LatencyDetail)
        .with("status", Role::Status)
        .with("flags", Role::Flags(vec!["cached".into(), "stream".into()]))
        .with("user", Role::Dimension(Dimension::BloomRollup))
        .with("model", Role::Dimension(Dimension::Plain))
        .with_optional("note", Role::Label)
        .with("id", Role::Id)
}

fn built(builder: SchemaBuilder) -> Arc<Schema> {
    Arc::new(builder.build().expect("a schema"))
}

fn refused(builder: SchemaBuilder) -> String {
    builder.build().expect_err("no schema").to_string()
}

#[test]
fn a_schema_comes_back_from_its_bytes_and_every_cut_is_an_error() {
    let schema = wide().build().expect("a schema");
    let bytes = schema.encode();
    assert_eq!(Schema::decode(&bytes), Ok(schema));
    for len in 0..bytes.len() {
        assert!(matches!(Schema::decode(&bytes[..len]), Err(Error::Malformed { .. })), "{len}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(Schema::decode(&longer), Err(Error::Malformed { .. })));
    let mut later = bytes;
    later[0] = 2;
    assert!(matches!(Schema::decode(&later), Err(Error::Version { found: 2, .. })));
}

#[test]
fn fingerprints_are_the_same_in_every_build() {
    // Written down from the first build: parts in the field carry it.
    assert_eq!(built(wide()).fingerprint(), 0x2907_9fec_7c04_e3d2);
}

#[test]
fn names_roles_order_and_id_are_in_the_fingerprint() {
    let two = |first: &str, second: &str| {
        let plain = || Role::Dimension(Dimension::Plain);
        built(Schema::builder(1).with(first, plain()).with(second, plain()))
    };
    let (one, other) = (two("user", "model"), two("model", "user"));
    assert_ne!(one.fingerprint(), other.fingerprint());
    let error = one.mapping_from(&other).expect_err("swapped");
    let text = error.to_string();
    assert!(text.contains(&one.to_string()) && text.contains(&other.to_string()), "{text}");
    assert_ne!(
        built(Schema::builder(1).with("a", Role::Label)).fingerprint(),
        built(Schema::builder(2).with("a", Role::Label)).fingerprint()
    );
    assert_ne!(
        built(Schema::builder(1).with("a", Role::Label)).fingerprint(),
        built(Schema::builder(1).with_optional("a", Role::Label)).fingerprint()
    );
}

#[test]
fn what_cannot_be_is_refused_with_the_name_of_the_field() {
    assert!(refused(Schema::builder(1)).contains("no fields"));
    for name in ["", "1st", "a b", "\u{e9}", &"x".repeat(129)] {
        assert!(Schema::builder(1).with(name, Role::Label).build().is_err(), "{name}");
    }
    let twice = Schema::builder(1).with("a", Role::Label).with("a", Role::Id);
    assert!(refused(twice).contains("(field `a`)"));
    assert!(refused(Schema::builder(1).with_optional("at", Role::Ts)).contains("optional"));
    for role in [Role::Ts, Role::Latency, Role::LatencyDetail, Role::Status, Role::Id] {
        let schema = Schema::builder(1).with("one", role.clone()).with("two", role);
        assert!(refused(schema).contains("(field `two`)"));
    }
    let metrics = Schema::builder(1).with("one", Role::MetricI64).with("two", Role::MetricF64);
    assert!(refused(metrics).contains("role"));
    let blooms = Schema::builder(1)
        .with("one", Role::Dimension(Dimension::Bloom))
        .with("two", Role::Dimension(Dimension::BloomRollup));
    assert!(refused(blooms).contains("bloom"));
    let many = |count: usize, role: &Role| {
        (0..count).fold(Schema::builder(1), |schema, n| schema.with(&format!("f{n}"), role.clone()))
    };
    for (limit, role) in [
        (COUNTERS_MAX, Role::CounterU32),
        (DIMENSIONS_MAX, Role::Dimension(Dimension::Plain)),
        (LABELS_MAX, Role::Label),
    ] {
        assert!(many(limit, &role).build().is_ok());
        assert!(refused(many(limit + 1, &role)).contains("more than"));
    }
    let flags = |count: usize| Role::Flags((0..count).map(|n| format!("b{n}")).collect());
    assert!(Schema::builder(1).with("f", flags(16)).build().is_ok());
    for wrong in [flags(0), flags(17), Role::Flags(vec!["a".into(), "a".into()])] {
        assert!(Schema::builder(1).with("f", wrong).build().is_err());
    }
}

#[test]
fn fields_may_be_added_anywhere_and_made_optional_and_nothing_else() -> Result<()> {
    let older = built(wide());
    assert!(older.mapping_from(&older)?.is_same());
    let label = |name: &str| Schema::builder(3).with_optional(name, Role::Label);
    let two = built(label("a").with("b", Role::Id));
    let newer = built(label("new").with_optional("a", Role::Label).with("b", Role::Id));
    let mapping = newer.mapping_from(&two)?;
    assert_eq!([0, 1, 2, 3].map(|n| mapping.older(n)), [None, Some(0), Some(1), None]);
    assert!(!mapping.is_same());
    let optional = built(label("a").with_optional("b", Role::Id));
    assert!(optional.mapping_from(&two).is_ok() && two.mapping_from(&optional).is_err());
    let required =
        built(Schema::builder(3).with("new", Role::Status).with_optional("a", Role::Label));
    assert!(required.mapping_from(&built(label("a"))).is_err());
    assert!(built(label("a")).mapping_from(&two).is_err(), "taken away");
    assert!(built(label("b")).mapping_from(&built(label("a"))).is_err(), "renamed");
    let other = built(Schema::builder(3).with_optional("a", Role::Id));
    assert!(other.mapping_from(&built(label("a"))).is_err(), "another role");
    let flags = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        built(Schema::builder(3).with("f", Role::Flags(names)))
    };
    assert!(flags(&["a", "b"]).mapping_from(&flags(&["a"])).is_ok());
    assert!(flags(&["b", "a"]).mapping_from(&flags(&["a"])).is_err());
    assert!(flags(&["a"]).mapping_from(&flags(&["a", "b"])).is_err());
    let kind = |kind| built(Schema::builder(3).with("d", Role::Dimension(kind)));
    assert!(kind(Dimension::Rollup).mapping_from(&kind(Dimension::Plain)).is_ok());
    Ok(())
}
