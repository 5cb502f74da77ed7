use annals_columns::Schema;

#[derive(Schema)]
#[schema(crate = annals_columns)]
struct Request {
    #[ts]
    at: i64,
}

fn main() {}
