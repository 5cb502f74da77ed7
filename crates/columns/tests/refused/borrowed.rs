use annals_columns::Schema;

#[derive(Schema)]
#[schema(schema_id = 1, crate = annals_columns)]
struct Request<'a> {
    #[dim]
    user: &'a str,
}

fn main() {}
