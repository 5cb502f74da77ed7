//! Filters that the derive writes: each method is what it says, as a row is asked and as a part is.

use annals_columns::{
    Batch, BoundFilter, Error, Filter, GroupBy, Part, PartBuilder, PartIdentity, Query, Role,
    Schema, ToField, ToGroupBy, ToMeasure, WideEvent,
};
use std::sync::Arc;

#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 4, crate = annals_columns)]
struct Request {
    #[ts]
    at: i64,
    #[metric]
    price: f64,
    #[counter]
    bytes: Option<u64>,
    #[counter]
    tries: u32,
    #[status]
    status: u16,
    #[flags(cached, retried, last)]
    flags: u16,
    #[dim(bloom)]
    user: String,
    #[dim]
    r#type: Option<String>,
    #[label]
    path: String,
    #[id]
    id: String,
}

fn request(n: u64) -> Request {
    Request {
        at: match n % 50 {
            7 => i64::MIN,
            8 => i64::MAX,
            9 => i64::MAX - 1,
            of => of as i64 - 25,
        },
        price: (n % 9) as f64 - 4.0,
        bytes: Some(u64::MAX - n % 5).filter(|_| !n.is_multiple_of(3)),
        tries: (n % 4) as u32,
        status: [200, 201, 404, 500, 503, u16::MAX][(n % 6) as usize],
        flags: (n % 8) as u16,
        user: format!("user {}", n % 13),
        r#type: Some(format!("type {}", n % 3)).filter(|_| !n.is_multiple_of(5)),
        path: format!("/v{}/of/{}", n % 3, n % 7),
        id: format!("{n:03}"),
    }
}

/// The ids of the events that a filter means, asked of a batch and of a part.
fn meant(events: &[Request], filter: &RequestFilter) -> (Vec<String>, u64) {
    let mut batch = Batch::of::<Request>();
    events.iter().for_each(|event| batch.push(event).expect("an event"));
    let bound = BoundFilter::from(filter.clone());
    let filter = bound.of(Request::schema()).expect("its own");
    let rows = (0..batch.len()).filter(|row| filter.matches(|field| batch.value(*row, field)));
    let ids = rows.map(|row| events[row].id.clone()).collect();
    let identity = PartIdentity { database_id: 1, number: 1 };
    let mut builder = PartBuilder::new(Arc::clone(Request::schema()), identity);
    builder.add(&batch, 0).expect("rows");
    let part = Part::open(builder.finish().expect("rows"), identity).expect("a part");
    let query = Query::new(Arc::clone(Request::schema())).filter(filter.into_owned());
    let mut answer = query.answer().expect("a question");
    answer.add(part.view(), None).expect("readable");
    (ids, answer.groups()[0].rows)
}

type Case = (RequestFilter, fn(&Request) -> bool);

#[test]
fn each_method_means_what_it_says() {
    let events: Vec<Request> = (0..700).map(request).collect();
    let all = Request::filter;
    let cases: [Case; 40] = [
        (all(), |_| true),
        (all().user_eq("user 3"), |of| of.user == "user 3"),
        (all().user_eq("nobody"), |_| false),
        (all().user_in(["user 3", "user 12", "x"]), |of| {
            of.user == "user 3" || of.user == "user 12"
        }),
        (all().user_in(Vec::<String>::new()), |_| false),
        (all().user_prefix("user 1"), |of| of.user.starts_with("user 1")),
        (all().user_gt("user 12"), |of| of.user.as_str() > "user 12"),
        (all().user_ge("user 12"), |of| of.user.as_str() >= "user 12"),
        (all().user_lt("user 12"), |of| of.user.as_str() < "user 12"),
        (all().user_le("user 12"), |of| of.user.as_str() <= "user 12"),
        (all().type_eq("type 1"), |of| of.r#type.as_deref() == Some("type 1")),
        (all().type_eq("type 1").not(), |of| of.r#type.as_deref() != Some("type 1")),
        (all().type_present(), |of| of.r#type.is_some()),
        (all().type_absent(), |of| of.r#type.is_none()),
        (all().type_gt("type 0"), |of| of.r#type.as_deref().is_some_and(|of| of > "type 0")),
        (all().path_prefix("/v1/"), |of| of.path.starts_with("/v1/")),
        (all().path_lt("/v1/of/3"), |of| of.path.as_str() < "/v1/of/3"),
        (all().id_in(["007", "699"]), |of| of.id == "007" || of.id == "699"),
        (all().status_eq(404), |of| of.status == 404),
        (all().status_ge(500), |of| of.status >= 500),
        (all().status_gt(500), |of| of.status > 500),
        (all().status_gt(u16::MAX), |_| false),
        (all().status_lt(404), |of| of.status < 404),
        (all().status_lt(0), |_| false),
        (all().status_in([200, 503]), |of| of.status == 200 || of.status == 503),
        (all().bytes_lt(u64::MAX), |of| of.bytes.is_some_and(|of| of < u64::MAX)),
        (all().bytes_gt(u64::MAX), |_| false),
        (all().bytes_le(u64::MAX - 2), |of| of.bytes.is_some_and(|of| of <= u64::MAX - 2)),
        (all().tries_gt(2).tries_lt(4), |of| of.tries == 3),
        (all().price_gt(-1.0).price_le(2.0), |of| of.price > -1.0 && of.price <= 2.0),
        (all().price_lt(0.0), |of| of.price < 0.0),
        (all().flags_set(Request::CACHED | Request::LAST), |of| of.flags & 5 == 5),
        (all().flags_unset(Request::CACHED | Request::LAST), |of| of.flags & 5 == 0),
        (all().flags_set(Request::RETRIED).flags_unset(Request::CACHED), |of| of.flags & 3 == 2),
        (all().flags_eq(Request::LAST), |of| of.flags == 4),
        (!all().status_ge(500).user_eq("user 3"), |of| of.status < 500 || of.user != "user 3"),
        (all().status_ge(500).or(all().user_eq("user 3")).tries_lt(2), |of| {
            (of.status >= 500 || of.user == "user 3") && of.tries < 2
        }),
        (all().and(all().status_eq(200)).and(!all().user_eq("user 1")), |of| {
            of.status == 200 && of.user != "user 1"
        }),
        (all().or(all().status_eq(200)), |_| true),
        (all().not(), |_| false),
    ];
    for (filter, model) in cases {
        let expected: Vec<String> =
            events.iter().filter(|of| model(of)).map(|of| of.id.clone()).collect();
        let (ids, count) = meant(&events, &filter);
        assert_eq!(ids, expected, "{filter:?}");
        assert_eq!(count, expected.len() as u64, "{filter:?}");
    }
}

#[test]
fn a_range_of_time_has_its_start_and_not_its_end() {
    let events: Vec<Request> = (0..50).map(request).collect();
    let ends = [i64::MIN, i64::MIN + 1, -1, 0, 1, 10, i64::MAX - 1, i64::MAX];
    for since in ends {
        for until in ends {
            let within = events.iter().filter(|of| (since..until).contains(&of.at));
            let within: Vec<String> = within.map(|of| of.id.clone()).collect();
            let (ids, count) = meant(&events, &Request::filter().since(since).until(until));
            assert_eq!((&ids, count), (&within, within.len() as u64), "{since}..{until}");
        }
        let open: Vec<&String> =
            events.iter().filter(|of| of.at >= since).map(|of| &of.id).collect();
        let (ids, _) = meant(&events, &Request::filter().since(since));
        assert_eq!(ids.iter().collect::<Vec<_>>(), open, "from {since} on");
    }
    assert!(meant(&events, &Request::filter().since(i64::MAX)).0.contains(&"008".to_owned()));
}

#[test]
fn fields_are_found_by_name_and_by_method() {
    let (schema, fields) = (Request::schema(), Request::fields());
    assert_eq!(fields.r#type().field_in(schema), Ok(7));
    assert_eq!("type".field_in(schema), Ok(7));
    assert_eq!(7.field_in(schema), Ok(7));
    assert_eq!(fields.user().group_by_in(schema), Ok(GroupBy::Field(6)));
    assert_eq!("user".group_by_in(schema), Ok(GroupBy::Field(6)));
    fn index_of(of: impl ToMeasure) -> Result<usize, Error> {
        of.field_in(Request::schema())
    }
    assert_eq!((index_of(fields.price()), index_of("price")), (Ok(1), Ok(1)));
    assert_eq!(11.field_in(schema), Err(Error::NoField { index: 11, count: 10 }));
    let refused = "usr".field_in(schema).unwrap_err().to_string();
    assert_eq!(
        refused,
        "the schema has no field `usr`; it has at, price, bytes, tries, status, flags, user, type, path, id"
    );
}

#[test]
fn what_names_fields_of_one_type_is_not_asked_of_another() {
    let other = Schema::builder(4).with("at", Role::Ts).with("price", Role::MetricF64).build();
    let other = Arc::new(other.expect("a schema"));
    let mismatch =
        |outcome: Result<(), Error>| matches!(outcome, Err(Error::SchemaMismatch { .. }));
    assert!(mismatch(BoundFilter::from(Request::filter()).of(&other).map(drop)));
    assert!(mismatch(Request::fields().price().field_in(&other).map(drop)));
    assert!(mismatch(Request::fields().tries().group_by_in(&other).map(drop)));
    assert!(BoundFilter::from(Filter::at_least(0, 5i64)).of(&other).is_ok());
    assert!(BoundFilter::from(Filter::at_least(0, "x")).of(&other).is_err());
}

/// Zero without a sign and one number that is none are all that is kept of their kinds; what is compared with them may come
/// with another sign, as the processor gives it for 0.0 / 0.0.
#[test]
fn zeroes_and_what_is_no_number_are_found_whatever_their_signs() {
    let schema = Schema::builder(1).with("at", Role::Ts).with("cost", Role::MetricF64);
    let schema = Arc::new(schema.build().expect("a schema"));
    let mut batch = Batch::new(Arc::clone(&schema));
    for cost in [-1.0, -0.0, 0.0, 1.0, f64::NAN, -f64::NAN] {
        let mut row = batch.row();
        row.i64(0, 7).and_then(|row| row.f64(1, cost)).expect("the schema");
        row.finish().expect("whole");
    }
    let id = PartIdentity { database_id: 7, number: 1 };
    let mut builder = PartBuilder::new(Arc::clone(&schema), id);
    builder.add(&batch, 0).expect("the schema");
    let part = Part::open(builder.finish().expect("rows"), id).expect("a part");
    for (filter, expected) in [
        (Filter::eq(1, -0.0), 2),
        (Filter::is_in(1, [-0.0, 1.0]), 3),
        (Filter::at_most(1, -0.0), 3),
        (Filter::above(1, -0.0), 3),
        (Filter::below(1, -0.0), 1),
        (Filter::eq(1, -f64::NAN), 2),
        (Filter::at_least(1, -f64::NAN), 2),
        (Filter::at_most(1, -f64::NAN), 6),
        (Filter::below(1, -f64::NAN), 4),
    ] {
        let query = Query::new(Arc::clone(&schema)).filter(filter.clone());
        let (mut of_batch, mut of_part) =
            (query.clone().answer().expect("a question"), query.answer().expect("a question"));
        of_batch.add_batch(&batch).expect("the schema");
        of_part.add(part.view(), None).expect("readable");
        assert_eq!(of_batch.groups()[0].rows, expected, "{filter:?} of a batch");
        assert_eq!(of_part.groups()[0].rows, expected, "{filter:?} of a part");
    }
}
