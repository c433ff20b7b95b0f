"""The rules describe what a catalogue holds, and check and compare catalogues: pure."""
