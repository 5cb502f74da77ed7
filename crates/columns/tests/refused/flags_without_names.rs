use annals_columns::Schema;

#[derive(Schema)]
#[schema(schema_id = 1, crate = annals_columns)]
struct Request {
    #[flags]
    flags: u16,
}

fn main() {}
