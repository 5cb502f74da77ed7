use annals_columns::Schema;

#[derive(Schema)]
#[schema(schema_id = 1, crate = annals_columns)]
struct Request {
    #[dim]
    d0: String,
    #[dim]
    d1: String,
    #[dim]
    d2: String,
    #[dim]
    d3: String,
    #[dim]
    d4: String,
    #[dim]
    d5: String,
    #[dim]
    d6: String,
    #[dim]
    d7: String,
    #[dim]
    d8: String,
    #[dim]
    d9: String,
    #[dim]
    d10: String,
    #[dim]
    d11: String,
    #[dim]
    d12: String,
    #[dim]
    d13: String,
    #[dim]
    d14: String,
    #[dim]
    d15: String,
    #[dim]
    d16: String,
    #[dim]
    d17: String,
    #[dim]
    d18: String,
    #[dim]
    d19: String,
    #[dim]
    d20: String,
    #[dim]
    d21: String,
    #[dim]
    d22: String,
    #[dim]
    d23: String,
    #[dim]
    d24: String,
    #[dim]
    d25: String,
    #[dim]
    d26: String,
    #[dim]
    d27: String,
    #[dim]
    d28: String,
    #[dim]
    d29: String,
    #[dim]
    d30: String,
    #[dim]
    d31: String,
    #[dim]
    d32: String,
    #[dim]
    d33: String,
    #[dim]
    d34: String,
    #[dim]
    d35: String,
    #[dim]
    d36: String,
    #[dim]
    d37: String,
    #[dim]
    d38: String,
    #[dim]
    d39: String,
    #[dim]
    d40: String,
    #[dim]
    d41: String,
    #[dim]
    d42: String,
    #[dim]
    d43: String,
    #[dim]
    d44: String,
    #[dim]
    d45: String,
    #[dim]
    d46: String,
    #[dim]
    d47: String,
    #[dim]
    d48: String,
    #[dim]
    d49: String,
    #[dim]
    d50: String,
    #[dim]
    d51: String,
    #[dim]
    d52: String,
    #[dim]
    d53: String,
    #[dim]
    d54: String,
    #[dim]
    d55: String,
    #[dim]
    d56: String,
    #[dim]
    d57: String,
    #[dim]
    d58: String,
    #[dim]
    d59: String,
    #[dim]
    d60: String,
    #[dim]
    d61: String,
    #[dim]
    d62: String,
    #[dim]
    d63: String,
    #[dim]
    d64: String,
    #[dim]
    d65: String,
    #[dim]
    d66: String,
    #[dim]
    d67: String,
    #[dim]
    d68: String,
    #[dim]
    d69: String,
    #[dim]
    d70: String,
    #[dim]
    d71: String,
    #[dim]
    d72: String,
    #[dim]
    d73: String,
    #[dim]
    d74: String,
    #[dim]
    d75: String,
    #[dim]
    d76: String,
    #[dim]
    d77: String,
    #[dim]
    d78: String,
    #[dim]
    d79: String,
    #[dim]
    d80: String,
    #[dim]
    d81: String,
    #[dim]
    d82: String,
    #[dim]
    d83: String,
    #[dim]
    d84: String,
    #[dim]
    d85: String,
    #[dim]
    d86: String,
    #[dim]
    d87: String,
    #[dim]
    d88: String,
    #[dim]
    d89: String,
    #[dim]
    d90: String,
    #[dim]
    d91: String,
    #[dim]
    d92: String,
    #[dim]
    d93: String,
    #[dim]
    d94: String,
    #[dim]
    d95: String,
    #[dim]
    d96: String,
    #[dim]
    d97: String,
    #[dim]
    d98: String,
    #[dim]
    d99: String,
    #[dim]
    d100: String,
    #[dim]
    d101: String,
    #[dim]
    d102: String,
    #[dim]
    d103: String,
    #[dim]
    d104: String,
    #[dim]
    d105: String,
    #[dim]
    d106: String,
    #[dim]
    d107: String,
    #[dim]
    d108: String,
    #[dim]
    d109: String,
    #[dim]
    d110: String,
    #[dim]
    d111: String,
    #[dim]
    d112: String,
    #[dim]
    d113: String,
    #[dim]
    d114: String,
    #[dim]
    d115: String,
    #[dim]
    d116: String,
    #[dim]
    d117: String,
    #[dim]
    d118: String,
    #[dim]
    d119: String,
    #[dim]
    d120: String,
    #[dim]
    d121: String,
    #[dim]
    d122: String,
    #[dim]
    d123: String,
    #[dim]
    d124: String,
    #[dim]
    d125: String,
    #[dim]
    d126: String,
    #[dim]
    d127: String,
    #[dim]
    d128: String,
    #[dim]
    d129: String,
    #[dim]
    d130: String,
    #[dim]
    d131: String,
    #[dim]
    d132: String,
    #[dim]
    d133: String,
    #[dim]
    d134: String,
    #[dim]
    d135: String,
    #[dim]
    d136: String,
    #[dim]
    d137: String,
    #[dim]
    d138: String,
    #[dim]
    d139: String,
    #[dim]
    d140: String,
    #[dim]
    d141: String,
    #[dim]
    d142: String,
    #[dim]
    d143: String,
    #[dim]
    d144: String,
    #[dim]
    d145: String,
    #[dim]
    d146: String,
    #[dim]
    d147: String,
    #[dim]
    d148: String,
    #[dim]
    d149: String,
    #[dim]
    d150: String,
    #[dim]
    d151: String,
    #[dim]
    d152: String,
    #[dim]
    d153: String,
    #[dim]
    d154: String,
    #[dim]
    d155: String,
    #[dim]
    d156: String,
    #[dim]
    d157: String,
    #[dim]
    d158: String,
    #[dim]
    d159: String,
    #[dim]
    d160: String,
    #[dim]
    d161: String,
    #[dim]
    d162: String,
    #[dim]
    d163: String,
    #[dim]
    d164: String,
    #[dim]
    d165: String,
    #[dim]
    d166: String,
    #[dim]
    d167: String,
    #[dim]
    d168: String,
    #[dim]
    d169: String,
    #[dim]
    d170: String,
    #[dim]
    d171: String,
    #[dim]
    d172: String,
    #[dim]
    d173: String,
    #[dim]
    d174: String,
    #[dim]
    d175: String,
    #[dim]
    d176: String,
    #[dim]
    d177: String,
    #[dim]
    d178: String,
    #[dim]
    d179: String,
    #[dim]
    d180: String,
    #[dim]
    d181: String,
    #[dim]
    d182: String,
    #[dim]
    d183: String,
    #[dim]
    d184: String,
    #[dim]
    d185: String,
    #[dim]
    d186: String,
    #[dim]
    d187: String,
    #[dim]
    d188: String,
    #[dim]
    d189: String,
    #[dim]
    d190: String,
    #[dim]
    d191: String,
    #[dim]
    d192: String,
    #[dim]
    d193: String,
    #[dim]
    d194: String,
    #[dim]
    d195: String,
    #[dim]
    d196: String,
    #[dim]
    d197: String,
    #[dim]
    d198: String,
    #[dim]
    d199: String,
    #[dim]
    d200: String,
    #[dim]
    d201: String,
    #[dim]
    d202: String,
    #[dim]
    d203: String,
    #[dim]
    d204: String,
    #[dim]
    d205: String,
    #[dim]
    d206: String,
    #[dim]
    d207: String,
    #[dim]
    d208: String,
    #[dim]
    d209: String,
    #[dim]
    d210: String,
    #[dim]
    d211: String,
    #[dim]
    d212: String,
    #[dim]
    d213: String,
    #[dim]
    d214: String,
    #[dim]
    d215: String,
    #[dim]
    d216: String,
    #[dim]
    d217: String,
    #[dim]
    d218: String,
    #[dim]
    d219: String,
    #[dim]
    d220: String,
    #[dim]
    d221: String,
    #[dim]
    d222: String,
    #[dim]
    d223: String,
    #[dim]
    d224: String,
    #[dim]
    d225: String,
    #[dim]
    d226: String,
    #[dim]
    d227: String,
    #[dim]
    d228: String,
    #[dim]
    d229: String,
    #[dim]
    d230: String,
    #[dim]
    d231: String,
    #[dim]
    d232: String,
    #[dim]
    d233: String,
    #[dim]
    d234: String,
    #[dim]
    d235: String,
    #[dim]
    d236: String,
    #[dim]
    d237: String,
    #[dim]
    d238: String,
    #[dim]
    d239: String,
    #[dim]
    d240: String,
    #[dim]
    d241: String,
    #[dim]
    d242: String,
    #[dim]
    d243: String,
    #[dim]
    d244: String,
    #[dim]
    d245: String,
    #[dim]
    d246: String,
    #[dim]
    d247: String,
    #[dim]
    d248: String,
    #[dim]
    d249: String,
    #[dim]
    d250: String,
    #[dim]
    d251: String,
    #[dim]
    d252: String,
    #[dim]
    d253: String,
    #[dim]
    d254: String,
    #[dim]
    d255: String,
    #[dim]
    d256: String,
}

fn main() {}
