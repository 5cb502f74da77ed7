use annals_columns::Schema;

#[derive(Schema)]
#[schema(schema_id = 1, crate = annals_columns)]
struct Request {
    #[counter]
    c0: u32,
    #[counter]
    c1: u32,
    #[counter]
    c2: u32,
    #[counter]
    c3: u32,
    #[counter]
    c4: u32,
    #[counter]
    c5: u32,
    #[counter]
    c6: u32,
    #[counter]
    c7: u32,
    #[counter]
    c8: u32,
    #[counter]
    c9: u32,
    #[counter]
    c10: u32,
    #[counter]
    c11: u32,
    #[counter]
    c12: u32,
    #[counter]
    c13: u32,
    #[counter]
    c14: u32,
    #[counter]
    c15: u32,
    #[counter]
    c16: u32,
    #[counter]
    c17: u32,
    #[counter]
    c18: u32,
    #[counter]
    c19: u32,
    #[counter]
    c20: u32,
    #[counter]
    c21: u32,
    #[counter]
    c22: u32,
    #[counter]
    c23: u32,
    #[counter]
    c24: u32,
    #[counter]
    c25: u32,
    #[counter]
    c26: u32,
    #[counter]
    c27: u32,
    #[counter]
    c28: u32,
    #[counter]
    c29: u32,
    #[counter]
    c30: u32,
    #[counter]
    c31: u32,
    #[counter]
    c32: u32,
    #[counter]
    c33: u32,
    #[counter]
    c34: u32,
    #[counter]
    c35: u32,
    #[counter]
    c36: u32,
    #[counter]
    c37: u32,
    #[counter]
    c38: u32,
    #[counter]
    c39: u32,
    #[counter]
    c40: u32,
    #[counter]
    c41: u32,
    #[counter]
    c42: u32,
    #[counter]
    c43: u32,
    #[counter]
    c44: u32,
    #[counter]
    c45: u32,
    #[counter]
    c46: u32,
    #[counter]
    c47: u32,
    #[counter]
    c48: u32,
    #[counter]
    c49: u32,
    #[counter]
    c50: u32,
    #[counter]
    c51: u32,
    #[counter]
    c52: u32,
    #[counter]
    c53: u32,
    #[counter]
    c54: u32,
    #[counter]
    c55: u32,
    #[counter]
    c56: u32,
    #[counter]
    c57: u32,
    #[counter]
    c58: u32,
    #[counter]
    c59: u32,
    #[counter]
    c60: u32,
    #[counter]
    c61: u32,
    #[counter]
    c62: u32,
    #[counter]
    c63: u32,
    #[counter]
    c64: u32,
}

fn main() {}
