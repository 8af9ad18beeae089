/// Output emission rates of the electricity that each part of the United States generates.
///
/// - Source: United States Environmental Protection Agency, eGRID2023 (revision 2), summary tables,
///   "Total output emission rates", CO2e, by eGRID subregion and for the whole country. Rates are CO2
///   equivalents in pounds per megawatt-hour with the warming potentials that EPA applied in that table.
package enum EmissionFactorTable {
    /// The name under which a channel agrees on this table.
    package static let dataset = "eGRID2023-rev2"
    package static let source =
        "US EPA eGRID2023 rev. 2, summary tables, total output emission rates, CO2e, lb/MWh"
    package static let warmingPotentials = "as applied by US EPA in the CO2e column of eGRID2023 rev. 2"

    /// One region and its rate.
    package struct Row: Sendable {
        /// eGRID's acronym of the subregion, or `US` for the average of the country.
        package var region: String
        package var name: String
        /// Thousandths of a pound of CO2e per megawatt-hour; the published rates have three decimals.
        package var milliPoundsPerMegawattHour: Int64
    }

    /// The 27 subregions in alphabetical order, then the national average.
    package static let rows: [Row] = [
        Row(region: "AKGD", name: "ASCC Alaska Grid", milliPoundsPerMegawattHour: 905_109),
        Row(region: "AKMS", name: "ASCC Miscellaneous", milliPoundsPerMegawattHour: 522_400),
        Row(region: "AZNM", name: "WECC Southwest", milliPoundsPerMegawattHour: 706_189),
        Row(region: "CAMX", name: "WECC California", milliPoundsPerMegawattHour: 429_983),
        Row(region: "ERCT", name: "ERCOT All", milliPoundsPerMegawattHour: 736_629),
        Row(region: "FRCC", name: "FRCC All", milliPoundsPerMegawattHour: 784_785),
        Row(region: "HIMS", name: "HICC Miscellaneous", milliPoundsPerMegawattHour: 1_133_294),
        Row(region: "HIOA", name: "HICC Oahu", milliPoundsPerMegawattHour: 1_498_947),
        Row(region: "MROE", name: "MRO East", milliPoundsPerMegawattHour: 1_404_963),
        Row(region: "MROW", name: "MRO West", milliPoundsPerMegawattHour: 926_552),
        Row(region: "NEWE", name: "NPCC New England", milliPoundsPerMegawattHour: 543_178),
        Row(region: "NWPP", name: "WECC Northwest", milliPoundsPerMegawattHour: 635_267),
        Row(region: "NYCW", name: "NPCC NYC/Westchester", milliPoundsPerMegawattHour: 865_744),
        Row(region: "NYLI", name: "NPCC Long Island", milliPoundsPerMegawattHour: 1_189_333),
        Row(region: "NYUP", name: "NPCC Upstate NY", milliPoundsPerMegawattHour: 242_776),
        Row(region: "PRMS", name: "Puerto Rico Miscellaneous", milliPoundsPerMegawattHour: 1_548_530),
        Row(region: "RFCE", name: "RFC East", milliPoundsPerMegawattHour: 599_170),
        Row(region: "RFCM", name: "RFC Michigan", milliPoundsPerMegawattHour: 975_978),
        Row(region: "RFCW", name: "RFC West", milliPoundsPerMegawattHour: 916_054),
        Row(region: "RMPA", name: "WECC Rockies", milliPoundsPerMegawattHour: 1_042_539),
        Row(region: "SPNO", name: "SPP North", milliPoundsPerMegawattHour: 867_740),
        Row(region: "SPSO", name: "SPP South", milliPoundsPerMegawattHour: 875_567),
        Row(region: "SRMV", name: "SERC Mississippi Valley", milliPoundsPerMegawattHour: 741_741),
        Row(region: "SRMW", name: "SERC Midwest", milliPoundsPerMegawattHour: 1_248_582),
        Row(region: "SRSO", name: "SERC South", milliPoundsPerMegawattHour: 846_007),
        Row(region: "SRTV", name: "SERC Tennessee Valley", milliPoundsPerMegawattHour: 903_306),
        Row(region: "SRVC", name: "SERC Virginia/Carolina", milliPoundsPerMegawattHour: 596_326),
        Row(region: "US", name: "US average", milliPoundsPerMegawattHour: 770_884),
    ]
}
