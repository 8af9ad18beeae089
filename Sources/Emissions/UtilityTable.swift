/// A few dozen real electric utilities, for demonstrations and tests.
///
/// - Source: number, name and state: United States Energy Information Administration, form EIA-861,
///   data year 2019. Region: the eGRID subregion in which the utility's main service area lies, after EPA's
///   map of eGRID subregions; a utility that serves several subregions is listed with the largest.
package enum UtilityTable {
    /// One utility.
    package struct Row: Sendable {
        /// EIA's utility number.
        package var number: Int64
        package var name: String
        /// Postal code of the state.
        package var state: String
        /// eGRID subregion.
        package var region: String
    }

    /// In ascending order of number.
    package static let rows: [Row] = [
        Row(number: 195, name: "Alabama Power Co", state: "AL", region: "SRSO"),
        Row(number: 213, name: "Alaska Electric Light & Power Co", state: "AK", region: "AKMS"),
        Row(number: 803, name: "Arizona Public Service Co", state: "AZ", region: "AZNM"),
        Row(number: 814, name: "Entergy Arkansas LLC", state: "AR", region: "SRMV"),
        Row(number: 1015, name: "Austin Energy", state: "TX", region: "ERCT"),
        Row(number: 1167, name: "Baltimore Gas & Electric Co", state: "MD", region: "RFCE"),
        Row(number: 3046, name: "Duke Energy Progress - (NC)", state: "NC", region: "SRVC"),
        Row(number: 3266, name: "Central Maine Power Co", state: "ME", region: "NEWE"),
        Row(number: 3522, name: "Chugach Electric Assn Inc", state: "AK", region: "AKGD"),
        Row(number: 4110, name: "Commonwealth Edison Co", state: "IL", region: "RFCW"),
        Row(number: 4176, name: "Connecticut Light & Power Co", state: "CT", region: "NEWE"),
        Row(number: 4226, name: "Consolidated Edison Co-NY Inc", state: "NY", region: "NYCW"),
        Row(number: 4254, name: "Consumers Energy Co", state: "MI", region: "RFCM"),
        Row(number: 5109, name: "DTE Electric Company", state: "MI", region: "RFCM"),
        Row(number: 5416, name: "Duke Energy Carolinas, LLC", state: "NC", region: "SRVC"),
        Row(number: 6452, name: "Florida Power & Light Co", state: "FL", region: "FRCC"),
        Row(number: 7140, name: "Georgia Power Co", state: "GA", region: "SRSO"),
        Row(number: 7601, name: "Green Mountain Power Corp", state: "VT", region: "NEWE"),
        Row(number: 8287, name: "Hawaii Electric Light Co Inc", state: "HI", region: "HIMS"),
        Row(number: 8901, name: "CenterPoint Energy", state: "TX", region: "ERCT"),
        Row(number: 9191, name: "Idaho Power Co", state: "ID", region: "NWPP"),
        Row(number: 9273, name: "Indianapolis Power & Light Co", state: "IN", region: "RFCW"),
        Row(number: 10000, name: "Evergy Metro", state: "MO", region: "SPNO"),
        Row(number: 11171, name: "Long Island Power Authority", state: "NY", region: "NYLI"),
        Row(number: 11208, name: "Los Angeles Department of Water & Power", state: "CA", region: "CAMX"),
        Row(number: 11241, name: "Entergy Louisiana LLC", state: "LA", region: "SRMV"),
        Row(number: 12293, name: "City of Memphis - (TN)", state: "TN", region: "SRTV"),
        Row(number: 12341, name: "MidAmerican Energy Co", state: "IA", region: "MROW"),
        Row(number: 13216, name: "Nashville Electric Service", state: "TN", region: "SRTV"),
        Row(number: 13407, name: "Nevada Power Co", state: "NV", region: "AZNM"),
        Row(number: 13573, name: "Niagara Mohawk Power Corp.", state: "NY", region: "NYUP"),
        Row(number: 13781, name: "Northern States Power Co - Minnesota", state: "MN", region: "MROW"),
        Row(number: 14006, name: "Ohio Power Co", state: "OH", region: "RFCW"),
        Row(number: 14063, name: "Oklahoma Gas & Electric Co", state: "OK", region: "SPSO"),
        Row(number: 14328, name: "Pacific Gas & Electric Co.", state: "CA", region: "CAMX"),
        Row(number: 14940, name: "PECO Energy Co", state: "PA", region: "RFCE"),
        Row(number: 15248, name: "Portland General Electric Co", state: "OR", region: "NWPP"),
        Row(number: 15466, name: "Public Service Co of Colorado", state: "CO", region: "RMPA"),
        Row(number: 15473, name: "Public Service Co of NM", state: "NM", region: "AZNM"),
        Row(number: 15477, name: "Public Service Elec & Gas Co", state: "NJ", region: "RFCE"),
        Row(number: 15497, name: "Puerto Rico Electric Pwr Authority", state: "PR", region: "PRMS"),
        Row(number: 15500, name: "Puget Sound Energy Inc", state: "WA", region: "NWPP"),
        Row(number: 16534, name: "Sacramento Municipal Util Dist", state: "CA", region: "CAMX"),
        Row(number: 16609, name: "San Diego Gas & Electric Co", state: "CA", region: "CAMX"),
        Row(number: 17609, name: "Southern California Edison Co", state: "CA", region: "CAMX"),
        Row(number: 19436, name: "Union Electric Co - (MO)", state: "MO", region: "SRMW"),
        Row(number: 19547, name: "Hawaiian Electric Co Inc", state: "HI", region: "HIOA"),
        Row(number: 19876, name: "Virginia Electric & Power Co", state: "VA", region: "SRVC"),
        Row(number: 20847, name: "Wisconsin Electric Power Co", state: "WI", region: "MROE"),
        Row(number: 54913, name: "NSTAR Electric Company", state: "MA", region: "NEWE"),
    ]
}
