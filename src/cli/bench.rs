pub(super) fn bench(
    _settings: &super::Settings,
    _out: &mut super::Output,
    _options: &super::arguments::BenchOptions,
) -> Result<(), super::Failure> {
    Ok(())
}
