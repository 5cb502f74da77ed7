//! Requests that were answered, as wide events: what they come to by user, model and time, and the newest of
//! those that failed.
//!
//!     cargo run --example request_analytics [DIRECTORY]

use annals::{
    Database, Durability, Scan, Schema,
    columns::{Batch, Key},
};
use std::{error::Error, path::Path};

const SECOND_NS: i64 = 1_000_000_000;
const MINUTE_NS: u64 = 60_000_000_000;

/// A request that was answered.
#[derive(Schema)]
#[schema(schema_id = 1)]
struct Request {
    #[ts]
    at: i64,
    /// In millionths of a cent.
    #[metric]
    cost: i64,
    #[counter]
    tokens: u32,
    #[latency]
    latency_ms: u32,
    #[status]
    status: u16,
    #[flags(cached, retried)]
    flags: u16,
    #[dim(bloom)]
    user: String,
    #[dim]
    model: Option<String>,
    #[label]
    path: String,
    #[id]
    id: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args_os().nth(1) {
        Some(dir) => run(Path::new(&dir)),
        None => run(tempfile::tempdir()?.path()),
    }
}

pub(crate) fn run(dir: &Path) -> Result<(), Box<dyn Error>> {
    let db = Database::builder().durability(Durability::Buffered).open(dir)?;
    let requests = db.table_of::<Request>("requests")?;

    // Many events in one commit; a builder borrows their strings.
    let mut batch = Batch::of::<Request>();
    for n in 0..10_000u32 {
        let (user, id) = (format!("user-{}", n * n % 17), format!("request-{n}"));
        let event =
            Request::event().at(i64::from(n) * SECOND_NS).cost(i64::from(n % 97)).tokens(n % 500);
        let event = event.latency_ms(20 + n % 900).status(if n % 50 == 3 { 503 } else { 200 });
        let event = event.user(&user).path("/v1/runs").id(&id).flags(0);
        let event = if n % 3 == 0 { event.cached() } else { event.model("large") };
        batch.push(&event)?;
    }
    requests.append_batch(&batch)?;
    // By column from here on; those that come later are found as well.
    requests.flush()?;
    requests.append(&Request {
        at: 10_000 * SECOND_NS,
        cost: 5,
        tokens: 7,
        latency_ms: 30,
        status: 500,
        flags: Request::RETRIED,
        user: "ada".to_owned(),
        model: None,
        path: "/v1/runs".to_owned(),
        id: "request-ada".to_owned(),
    })?;

    // A view has what there was when it was made.
    let view = requests.view()?;
    let fields = Request::fields();

    // Who costs most, without what came from a cache.
    let paid = Request::filter().flags_unset(Request::CACHED).model_present();
    let found = view.query().filter(paid).group_by(fields.user()).measure(fields.cost()).run()?;
    for group in found.top(fields.cost(), 3)? {
        let cost = group.measured(fields.cost())?;
        println!("{:?}: {} requests, {}", group.key(fields.user())?, group.rows(), cost.sum);
    }

    // What failed in the first hour, by five minutes. The range has its start and not its end.
    let failed = Request::filter().status_ge(500).since(0).until(3_600 * SECOND_NS);
    let by = fields.at().buckets(5 * MINUTE_NS);
    let query = view.query().filter(failed).group_by(by).measure_bounds(fields.latency_ms());
    let found = query.run()?;
    for group in found.sorted() {
        let Key::Time(start) = group.key(by)? else { continue };
        let slowest = group.measured(fields.latency_ms())?.max();
        println!("from {:>4} s on: {:>2}, slowest {slowest:?} ms", start / SECOND_NS, group.rows());
    }

    // The newest that failed, or were tried again by ada, in pages.
    let hers = Request::filter().user_in(["ada", "bob"]).flags_set(Request::RETRIED);
    let wanted = Request::filter().status_ge(500).or(hers);
    let mut scan = Scan::new().filter(wanted).newest_first().limit(100);
    let mut count = 0;
    loop {
        let page = view.scan(&scan)?;
        for event in page.events::<Request>() {
            assert!(event?.status >= 500);
            count += 1;
        }
        match page.cursor() {
            Some(cursor) => scan = scan.after(cursor),
            None => break,
        }
    }
    assert_eq!(count, 201);

    let one = view.event("request-77")?.ok_or("it was appended")?;
    println!("request-77 was by {}", one.event::<Request>(0)?.user);
    db.close()?;
    Ok(())
}
