// A contract on Fabric's shim for Go, for the suite in behaviour.py: a service (CHAINCODE_ID and CHAINCODE_SERVER_ADDRESS),
// or, without an address, one that registers with the peer that started it.
//
// Build it where that shim can be had (a vendored copy, or `go mod init behaviour && go mod tidy`), and name the program in
// BEHAVIOUR_GO: scripts/contracts runs the suite with it too.
package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/protobuf/proto"
)

type stub = shim.ChaincodeStubInterface

type contract struct{}

// What one function does with its arguments, of which there are as many as it is listed with.
type function struct {
	arguments int
	run       func(stub, []string) ([]byte, error)
}

var functions = map[string]function{
	"put":           {2, func(s stub, a []string) ([]byte, error) { return nil, s.PutState(a[0], []byte(a[1])) }},
	"get":           {1, func(s stub, a []string) ([]byte, error) { return s.GetState(a[0]) }},
	"delete":        {1, func(s stub, a []string) ([]byte, error) { return nil, s.DelState(a[0]) }},
	"increment":     {1, increment},
	"fill":          {2, fill},
	"batch":         {1, batch},
	"many":          {1, many},
	"range":         {2, readRange},
	"page":          {4, page},
	"bookmark":      {4, bookmark},
	"history":       {1, history},
	"composite":     {2, composite},
	"partial":       {2, partial},
	"who":           {0, who},
	"refuse":        {1, func(_ stub, a []string) ([]byte, error) { return nil, errors.New(a[0]) }},
	"put_private":   {2, putPrivate},
	"get_private":   {2, func(s stub, a []string) ([]byte, error) { return s.GetPrivateData(a[0], a[1]) }},
	"hash_private":  {2, func(s stub, a []string) ([]byte, error) { return s.GetPrivateDataHash(a[0], a[1]) }},
	"purge_private": {2, func(s stub, a []string) ([]byte, error) { return nil, s.PurgePrivateData(a[0], a[1]) }},
	"set_policy":    {2, setPolicy},
	"get_policy":    {1, func(s stub, a []string) ([]byte, error) { return s.GetStateValidationParameter(a[0]) }},
	"emit":          {2, emit},
	"call":          {4, call},
	"rich":          {1, func(s stub, a []string) ([]byte, error) { _, err := s.GetQueryResult(a[0]); return nil, err }},
}

func (contract) Init(stub) *peer.Response { return shim.Success(nil) }

func (contract) Invoke(s stub) *peer.Response {
	name, arguments := s.GetFunctionAndParameters()
	called, known := functions[name]
	if !known || len(arguments) != called.arguments {
		return shim.Error(fmt.Sprintf("there is no %s with %d arguments", name, len(arguments)))
	}
	answer, err := called.run(s, arguments)
	if err != nil {
		return shim.Error(err.Error())
	}
	return shim.Success(answer)
}

func increment(s stub, a []string) ([]byte, error) {
	before, err := s.GetState(a[0])
	if err != nil {
		return nil, err
	}
	number, _ := strconv.Atoi(string(before)) // a key that isn't there counts as 0
	after := []byte(strconv.Itoa(number + 1))
	return after, s.PutState(a[0], after)
}

func fill(s stub, a []string) ([]byte, error) {
	count, err := strconv.Atoi(a[1])
	for number := 0; err == nil && number < count; number++ {
		err = s.PutState(fmt.Sprintf("%s%05d", a[0], number), []byte(strconv.Itoa(number)))
	}
	return nil, err
}

func batch(s stub, a []string) ([]byte, error) {
	var pairs [][2]string
	if err := json.Unmarshal([]byte(a[0]), &pairs); err != nil {
		return nil, err
	}
	s.StartWriteBatch()
	for _, pair := range pairs {
		if err := s.PutState(pair[0], []byte(pair[1])); err != nil {
			return nil, err
		}
	}
	return nil, s.FinishWriteBatch()
}

func many(s stub, a []string) ([]byte, error) {
	var keys []string
	if err := json.Unmarshal([]byte(a[0]), &keys); err != nil {
		return nil, err
	}
	values, err := s.GetMultipleStates(keys...)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(values))
	for index, value := range values {
		texts[index] = string(value)
	}
	return json.Marshal(texts)
}

// rows reads an iterator to its end and closes it.
func rows(iterator shim.StateQueryIteratorInterface) (pairs [][2]string, err error) {
	defer iterator.Close()
	pairs = [][2]string{}
	for iterator.HasNext() {
		row, err := iterator.Next()
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, [2]string{row.Key, string(row.Value)})
	}
	return pairs, nil
}

func readRange(s stub, a []string) ([]byte, error) {
	iterator, err := s.GetStateByRange(a[0], a[1])
	if err != nil {
		return nil, err
	}
	pairs, err := rows(iterator)
	if err != nil {
		return nil, err
	}
	return json.Marshal(pairs)
}

func paged(s stub, a []string) ([]string, string, error) {
	size, err := strconv.ParseInt(a[2], 10, 32)
	if err != nil {
		return nil, "", err
	}
	iterator, metadata, err := s.GetStateByRangeWithPagination(a[0], a[1], int32(size), a[3])
	if err != nil {
		return nil, "", err
	}
	pairs, err := rows(iterator)
	keys := []string{}
	for _, pair := range pairs {
		keys = append(keys, pair[0])
	}
	return keys, metadata.Bookmark, err
}

func page(s stub, a []string) ([]byte, error) {
	keys, _, err := paged(s, a)
	if err != nil {
		return nil, err
	}
	return json.Marshal(keys)
}

func bookmark(s stub, a []string) ([]byte, error) {
	_, next, err := paged(s, a)
	return []byte(next), err
}

func history(s stub, a []string) ([]byte, error) {
	iterator, err := s.GetHistoryForKey(a[0])
	if err != nil {
		return nil, err
	}
	defer iterator.Close()
	values := []*string{}
	for iterator.HasNext() {
		change, err := iterator.Next()
		if err != nil {
			return nil, err
		}
		value := string(change.Value)
		if change.IsDelete {
			values = append(values, nil)
		} else {
			values = append(values, &value)
		}
	}
	return json.Marshal(values)
}

func composite(s stub, a []string) ([]byte, error) {
	var attributes []string
	if err := json.Unmarshal([]byte(a[1]), &attributes); err != nil {
		return nil, err
	}
	key, err := s.CreateCompositeKey(a[0], attributes)
	if err != nil {
		return nil, err
	}
	return nil, s.PutState(key, []byte("1"))
}

func partial(s stub, a []string) ([]byte, error) {
	var attributes []string
	if err := json.Unmarshal([]byte(a[1]), &attributes); err != nil {
		return nil, err
	}
	iterator, err := s.GetStateByPartialCompositeKey(a[0], attributes)
	if err != nil {
		return nil, err
	}
	pairs, err := rows(iterator)
	if err != nil {
		return nil, err
	}
	keys := [][]string{}
	for _, pair := range pairs {
		kind, parts, err := s.SplitCompositeKey(pair[0])
		if err != nil {
			return nil, err
		}
		keys = append(keys, append([]string{kind}, parts...))
	}
	return json.Marshal(keys)
}

func who(s stub, _ []string) ([]byte, error) {
	creator, err := s.GetCreator()
	if err != nil {
		return nil, err
	}
	identity := &msp.SerializedIdentity{}
	if err := proto.Unmarshal(creator, identity); err != nil {
		return nil, err
	}
	return json.Marshal([]string{identity.Mspid, s.GetChannelID(), s.GetTxID()})
}

func putPrivate(s stub, a []string) ([]byte, error) {
	transient, err := s.GetTransient()
	if err != nil {
		return nil, err
	}
	return nil, s.PutPrivateData(a[0], a[1], transient["value"])
}

func setPolicy(s stub, a []string) ([]byte, error) {
	policy, err := base64.StdEncoding.DecodeString(a[1])
	if err != nil {
		return nil, err
	}
	return nil, s.SetStateValidationParameter(a[0], policy)
}

func emit(s stub, a []string) ([]byte, error) {
	if err := s.PutState("emitted", []byte(a[0])); err != nil {
		return nil, err
	}
	return nil, s.SetEvent(a[0], []byte(a[1]))
}

func call(s stub, a []string) ([]byte, error) {
	response := s.InvokeChaincode(a[0], [][]byte{[]byte(a[1]), []byte(a[2]), []byte(a[3])}, "")
	if response.Status >= shim.ERRORTHRESHOLD {
		// The shim has the words of a peer that refuses in the payload.
		return nil, errors.New(response.Message + string(response.Payload))
	}
	return response.Payload, nil
}

func main() {
	var err error
	if address := os.Getenv("CHAINCODE_SERVER_ADDRESS"); address == "" {
		err = shim.Start(contract{})
	} else {
		server := shim.ChaincodeServer{
			CCID: os.Getenv("CHAINCODE_ID"), Address: address, CC: contract{},
			TLSProps: shim.TLSProperties{Disabled: true},
		}
		err = server.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
