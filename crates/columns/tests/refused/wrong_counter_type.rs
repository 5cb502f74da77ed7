use annals_columns::Schema;

#[derive(Schema)]
#[schema(schema_id = 1, crate = annals_columns)]
struct Request {
    #[ts]
    at: i64,
    #[counter]
    bytes: i32,
}

fn main() {}
