

mutated.protobeditions