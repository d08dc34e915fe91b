
-
mutated.protofuzz"
M	
f (Mbproto3