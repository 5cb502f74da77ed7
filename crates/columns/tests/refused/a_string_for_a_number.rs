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

fn main() {
    let _ = Request::filter().status_ge("500");
}
