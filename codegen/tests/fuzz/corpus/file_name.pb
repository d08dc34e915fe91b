

a
bbproto3