use annals_columns::Schema;

#[derive(Schema)]
#[schema(schema_id = 1, crate = annals_columns)]
struct Request {
    #[status]
    status: u16,
    #[status]
    upstream: Option<u16>,
}

fn main() {}
