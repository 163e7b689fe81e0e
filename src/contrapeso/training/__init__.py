"""Fine-tuning: examples, the LoRA run, its checkpoints."""
