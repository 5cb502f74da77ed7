use annals_columns::Schema;

#[derive(Schema)]
#[schema(schema_id = 1, crate = annals_columns)]
struct Request {
    #[ts]
    at: i64,
    #[status]
    status: u16,
    #[flags(cached)]
    flags: u16,
    #[dim]
    user: String,
    #[label]
    path: String,
}

fn group_by(_: impl annals_columns::ToGroupBy) {}

fn main() {
    group_by(Request::fields().user());
    group_by(Request::fields().at().buckets(5));
    group_by(Request::fields().path());
}
